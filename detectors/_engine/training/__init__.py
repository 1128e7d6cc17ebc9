"""Training: steps, modes, gradients, schedules and ranks of a run that trains."""
