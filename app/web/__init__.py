"""The web server: webhook, pages, health, metrics."""
