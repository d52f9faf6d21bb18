"""The explorer: a page on which anyone chooses cells and sees their curves."""
