"""The benchmark: speed and memory as ratios, measured in one run on the same files. A command, never a timed test."""
