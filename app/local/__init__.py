"""Without GitHub: whole files and local changes, for the command line."""
