"""A home for a process that has none: HOME is not set, and the user id has no name.

So it is in containers that run as any user. Standard library only.
"""

from __future__ import annotations

import getpass
import os
import stat
from pathlib import Path

from normexp.errors import UserError


def ensure_home() -> None:
    """Give this process and its children a home and a user's name, where they have none."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(_own_folder(Path(os.environ.get("TMPDIR", "/tmp"))))
    try:
        getpass.getuser()
    except (KeyError, OSError):  # torch asks for it
        os.environ["USER"] = f"user{os.getuid()}"


def _own_folder(above: Path) -> Path:
    """Return a folder that only this user can write; raises UserError where another has it."""
    folder = above / f"normexp-home-of-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_own or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UserError(
            f"there is no home, and {folder} is another user's; HOME=<folder> names one"
        )
    return folder
