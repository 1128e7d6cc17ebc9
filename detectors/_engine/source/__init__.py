"""Source: the text of a file, its tree, and changes to it; what a detector says of it."""
