"""What the results of runs say: statistics and comparisons, without torch."""
