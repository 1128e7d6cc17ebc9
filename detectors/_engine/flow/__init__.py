"""Flow: what happens in which order, with calls of this file followed in place."""
