"""What people and the bot say to each other on a pull request, and what is remembered of it."""
