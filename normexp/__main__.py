"""`python -m normexp` is `normexp`."""

import sys
from pathlib import Path

# Python puts the current folder first, whose `statistics.py` is not the standard library's.
if not sys.flags.safe_path and sys.path[0] != str(Path(__file__).parents[1]):
    del sys.path[0]

from normexp.cli import main

main()
