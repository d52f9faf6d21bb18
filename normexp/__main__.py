"""`python -m normexp` is `normexp`."""

from normexp.cli import main

main()
