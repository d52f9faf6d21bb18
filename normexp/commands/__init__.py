"""One file a command: the story of that command in a page."""
