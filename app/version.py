"""Which version is installed; `importlib.metadata` is slow to import, so only who needs it imports this."""

from importlib import metadata


def version() -> str:
    """The version of the installed package."""
    return metadata.version("mlstaff")
