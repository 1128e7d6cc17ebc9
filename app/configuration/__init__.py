"""What a repository decides: its configuration file, and comments that silence a rule."""
