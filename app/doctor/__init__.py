"""`mlstaff doctor`: what would keep a pull request from being reviewed, and what to do about it."""
