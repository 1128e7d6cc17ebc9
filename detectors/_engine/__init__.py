"""The questions detectors ask; one module per kind of knowledge."""
