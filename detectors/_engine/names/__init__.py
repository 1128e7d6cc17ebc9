"""Names: what a name of a file means, in the file and in the repository around it, and whose library it is."""
