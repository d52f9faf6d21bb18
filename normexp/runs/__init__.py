"""A run on disk: its settings, its name, its files. Standard library only."""
