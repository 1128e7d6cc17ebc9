"""Production readiness and security."""
