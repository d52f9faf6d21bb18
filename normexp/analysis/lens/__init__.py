"""What `normexp evaluate` found, as tables and a picture."""
