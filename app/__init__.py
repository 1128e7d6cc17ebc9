"""mlstaff: reviews pull requests the way a staff machine-learning engineer would."""

__version__ = "0.1.0"
