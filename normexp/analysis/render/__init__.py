"""A document in its forms: HTML, Markdown, LaTeX, and drawings."""
