"""Findings become a review: found, placed on the diff, written."""
