"""Data and evaluation."""
