"""Data: how it is drawn, divided, loaded and prepared."""
