"""Log a training: TensorBoard curves, a progress bar, a log file."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from types import TracebackType

from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from normexp.board import experiment, layout, session, session_end, text
from normexp.engine.progress import Progress
from normexp.engine.summary import summary
from normexp.runs.folder import RunFolder
from normexp.runs.result import EpochResult, RunResult
from normexp.runs.spec import RunSpec

LOG_FORMAT = "%(asctime)s %(message)s"


class Tracker:
    """Writes the curves of one run into its folder and moves its progress bar from step `done`.

    Curves come twice: by step, and as `by_images/…` by the number of images seen.
    `positions` are the lengths of the event files at the checkpoint from which the run goes on:
    what was written after it is cut off, so that no step appears twice.
    """

    def __init__(
        self,
        folder: RunFolder,
        spec: RunSpec,
        total_steps: int,
        positions: Mapping[str, int],
        done: int,
    ) -> None:
        for events in folder.events():
            if events.name in positions:
                with events.open("r+b") as file:
                    # One that lost its end would be lengthened by zeros.
                    file.truncate(min(positions[events.name], events.stat().st_size))
            else:
                events.unlink()
        self._folder = folder
        self._spec = spec
        self.progress = Progress(spec.name.rpartition("-")[0], total_steps, done)
        self._log_handler = logging.FileHandler(folder.log, encoding="utf-8")
        self._log_handler.setFormatter(logging.Formatter(LOG_FORMAT))
        self._log = logging.Logger(spec.name)
        self._log.addHandler(self._log_handler)

    def __enter__(self) -> Tracker:
        self._hook_before, threading.excepthook = threading.excepthook, self._of_a_thread
        self._writer = SummaryWriter(str(self._folder.path))
        self.progress.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._log.error("stopped by %s: %s", type(error).__name__, error, exc_info=error)
        self.progress.__exit__(kind, error, trace)
        self._log_handler.close()
        try:
            self._writer.close()
        finally:
            threading.excepthook = self._hook_before

    def _write(self, *messages: Summary) -> None:
        for message in messages:
            self._writer.file_writer.add_summary(message)  # type: ignore[attr-defined]

    def _of_a_thread(self, error: threading.ExceptHookArgs) -> None:
        # A full disk in the writer's thread is raised again by the next `flush`.
        if not issubclass(error.exc_type, OSError):
            self._hook_before(error)

    def positions(self) -> dict[str, int]:
        """Return the lengths of the event files, with everything so far on disk."""
        self._writer.flush()
        return {events.name: events.stat().st_size for events in self._folder.events()}

    def curves(self, values: Mapping[str, float], step: int, images: int) -> None:
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, step)
            self._writer.add_scalar(f"by_images/{tag}", value, images)

    def begin(self, sheet: Tensor) -> None:
        """Write the settings, and the first images as they are trained on: float (3, H, W)."""
        factors = self._spec.factors
        self._write(experiment(factors), session(self._spec.cell_name, factors), layout())
        self._writer.add_image("augmented", sheet)

    def finish(self, result: RunResult) -> None:
        step, timing = result.steps, result.timing
        last = {"cost/seconds": timing.seconds, "cost/images_per_second": timing.images_per_second}
        if test := result.test:
            for severity, accuracy in enumerate([test.accuracy, *test.contrast.values()]):
                self._writer.add_scalar("contrast/accuracy", accuracy, severity)
            last |= {f"test/accuracy_contrast_{s}": share for s, share in test.contrast.items()}
            last |= {"test/loss": test.loss, "test/accuracy": test.accuracy}
            last["test/mode_gap"] = test.mode_gap.accuracy
            if result.history:  # with epochs=0 there is none
                last["test/gap"] = result.history[-1].train_accuracy - test.accuracy
        for tag, value in last.items():
            self._writer.add_scalar(tag, value, step)
        self._write(text("summary", summary(result)), session_end(result.outcome, time.time()))
        self._log.info(str(result))

    def note(self, line: str) -> None:
        """Write a line to the log file and to the screen."""
        self._log.info(line)
        self.progress.note(line)

    def end_epoch(self, row: EpochResult, images_per_second: float) -> None:
        """Add validation to the curves, and a line to the log file."""
        self.curves(
            {"val/loss": row.val_loss, "val/accuracy": row.val_accuracy}, row.step, row.images
        )
        line = (
            f"epoch {row.epoch}: train loss {row.train_loss:.3f}, train accuracy "
            f"{row.train_accuracy:.1%}, val accuracy {row.val_accuracy:.1%}, "
            f"{images_per_second:.0f} images/s"
        )
        self._log.info(line)
        self.progress.end_epoch(line, row.val_accuracy)
