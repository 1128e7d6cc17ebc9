"""Secrecy: keys by their form, where they stand, and texts without them."""
