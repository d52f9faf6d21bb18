"""What Hydra needs to hand a sweep's cells to `normexp.sweep`."""
