"""A trained model under other contrasts."""
