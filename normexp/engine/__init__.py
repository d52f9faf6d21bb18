"""Training: the loop, what changes in it, the schedule, the curves."""
