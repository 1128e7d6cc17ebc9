"""The tests; a package, so that they share values and the simulator by name."""
