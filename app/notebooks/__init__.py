"""Notebooks as Python modules, and the way back to the lines of their JSON."""
