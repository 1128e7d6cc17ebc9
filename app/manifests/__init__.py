"""Manifests: the files in which a repository says which versions of libraries it wants."""
