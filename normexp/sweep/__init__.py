"""The cells of a grid as processes, several at once. Nothing here imports torch."""
