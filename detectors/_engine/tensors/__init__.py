"""Tensors: their graphs, their dimensions, and what is done with either."""
