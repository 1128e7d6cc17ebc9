"""How fast the bot takes webhooks, answers them with reviews, and what a second worker brings

`python -m tests.load` (or `make load`). On a shared machine only the ratios mean anything.
"""
