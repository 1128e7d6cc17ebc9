"""Jobs: stored before they are promised, done once, by any number of workers."""
