"""GitHub: the only folder that imports PyGithub and httpx."""
