"""Claims, and what the runs at hand say to them."""
