"""What a report says: its sections on tables of runs, and its files."""
