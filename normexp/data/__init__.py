"""Images: where they come from, how they are served, how they are augmented."""
