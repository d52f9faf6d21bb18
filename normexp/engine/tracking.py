"""What a person sees of a training: TensorBoard curves, a progress bar, a log file."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

LOG_FORMAT = "%(asctime)s %(message)s"


class Tracker:
    """Writes the curves of one run into its folder and drives its bar.

    Curves come twice: by step, and as `by_images/…` by the number of images seen.
    `positions` are the lengths of the event files at the checkpoint from which the run goes on:
    what was written after it is cut off, so curves do not zig-zag.
    """

    def __init__(
        self, folder: Path, name: str, total_steps: int, positions: Mapping[str, int]
    ) -> None:
        for events in folder.glob("events.out.tfevents.*"):
            if events.name in positions:
                with events.open("r+b") as file:
                    file.truncate(positions[events.name])
            else:
                events.unlink()
        self._folder = folder
        self._name = name
        self._total_steps = total_steps
        self._log_handler = logging.FileHandler(folder / "train.log", encoding="utf-8")
        self._log_handler.setFormatter(logging.Formatter(LOG_FORMAT))
        self._log = logging.Logger(name)
        self._log.addHandler(self._log_handler)

    def __enter__(self) -> Tracker:
        self._hook_before, threading.excepthook = threading.excepthook, self._of_a_thread
        self._writer = SummaryWriter(str(self._folder))
        self._bar = tqdm(
            total=self._total_steps, desc=self._name, unit=" steps", disable=None, leave=False
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._log.error("stopped by %s: %s", type(error).__name__, error, exc_info=error)
        self._bar.close()
        self._log_handler.close()
        try:
            self._writer.close()
        finally:
            threading.excepthook = self._hook_before

    def _of_a_thread(self, error: threading.ExceptHookArgs) -> None:
        # A full disk in the writer's thread is raised again by the next `flush`, and told there.
        if not issubclass(error.exc_type, OSError):
            self._hook_before(error)

    def positions(self) -> dict[str, int]:
        """Return the lengths of the event files, with everything so far on disk."""
        self._writer.flush()
        files = self._folder.glob("events.out.tfevents.*")
        return {events.name: events.stat().st_size for events in files}

    def curves(self, values: Mapping[str, float], step: int, images: int) -> None:
        """Add a point to each curve."""
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, step)
            self._writer.add_scalar(f"by_images/{tag}", value, images)

    def picture(self, tag: str, image: Tensor) -> None:
        """Show `image`, float (3, H, W) in [0, 1]."""
        self._writer.add_image(tag, image)

    def progress(self, step: int, **shown: str) -> None:
        """Move the bar to `step`."""
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(step - self._bar.n)

    def finish(self, test: Mapping[str, Any] | None, step: int, line: str) -> None:
        """Write what the run found, once, at its end."""
        if test is not None:
            self._writer.add_scalar("test/accuracy", test["accuracy"], step)
            for severity, accuracy in test["contrast"].items():
                self._writer.add_scalar(f"test/accuracy_contrast_{severity}", accuracy, step)
        self._log.info(line)

    def note(self, line: str) -> None:
        """Write a line to the log file, and to the screen where it has no bar."""
        self._log.info(line)
        if self._bar.disable:
            print(line, file=sys.stderr)
