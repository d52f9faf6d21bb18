"""Decoded images on disk, by what the files hold: copies of a data set share one file."""

import hashlib
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from normexp.contracts import DataSource
from normexp.data import cache
from normexp.data.decoding import RULES
from normexp.runs.files import DamagedFileError, write_atomic


class ImageCache:
    """The decoded images of one folder, `root`, under some options of decoding.

    A note for each folder on each machine says which file has its pixels, and at which state of
    the folder: so long as that lasts, no image is read. At another state the images are read, and
    decoded only where no file has their pixels.
    """

    def __init__(self, folder: Path, root: Path, content: str, options: str) -> None:
        self._folder = folder
        self._content = content
        self._options = f"{RULES} {options}"
        place = _digest(f"{platform.node()}\0{root}\0{self._options}")
        self._note = folder / f"images-of-{place}.txt"

    def find(self, state: str, digest: Callable[[], str]) -> DataSource | None:
        """Return what is kept, or None. `digest` reads all files, and may raise OSError."""
        noted_state, noted_file = self._noted()
        if noted_state == state:
            with suppress(OSError, DamagedFileError):
                return cache.read(self._folder / noted_file)
        if not any(self._folder.glob(f"pixels-{self._content}-*.pt")):
            return None
        with suppress(OSError, DamagedFileError):
            file = self._file(digest())
            source = cache.read(file)
            self._write_note(state, file)
            return source
        return None

    def keep(self, source: DataSource, state: str, digest: str) -> DataSource:
        """Keep the decoded images; return them, with a note where they could not be kept."""
        file = self._file(digest)
        try:
            cache.write(file, source)
        except OSError as error:
            return replace(source, notes=(*source.notes, cache.not_kept(self._folder, error)))
        self._write_note(state, file)
        return source

    def _file(self, digest: str) -> Path:
        return self._folder / f"pixels-{self._content}-{_digest(f'{self._options} {digest}')}.pt"

    def _noted(self) -> tuple[str, str]:
        try:
            state, file = self._note.read_text("utf-8").split()
        except (OSError, ValueError):
            return "", ""
        return state, Path(file).name

    def _write_note(self, state: str, file: Path) -> None:
        """Note the file of this state, and remove the former one if no other folder has it."""
        _, former = self._noted()
        with suppress(OSError):  # a folder that cannot be written is read well
            write_atomic(self._note, f"{state} {file.name}\n".encode())
            if former and former != file.name and not self._is_noted(former):
                (self._folder / former).unlink(missing_ok=True)

    def _is_noted(self, name: str) -> bool:
        notes = self._folder.glob("images-of-*.txt")
        return any(name in note.read_text("utf-8", errors="replace") for note in notes)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
