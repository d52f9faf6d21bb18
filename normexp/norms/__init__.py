"""The norm layers: one file a norm, called with the number of channels."""
