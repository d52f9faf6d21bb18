"""A view of the runs for TensorBoard, under `cells/`, made from `result.json` files alone.

Each cell, the runs that differ in the seed only, has a run that stands for all its seeds: the mean
of a curve under the tag that a single seed has, and with its interval under `interval/`, and its
settings for HParams. A further one, `answer`, has the answer in words, the figures and the tables.
The folder can be opened alone, which is less to look at than all runs.
Files are named by their content, so what has not changed is left alone, and a TensorBoard that is
open reads what has.
"""

import hashlib
import io
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from normexp import board
from normexp.analysis.measures import Measure, accuracy, at_contrast, gap, seconds, speed
from normexp.analysis.render.canvas import png
from normexp.analysis.render.document import Section
from normexp.analysis.report.accuracy import accuracy_section, contrast_section
from normexp.analysis.report.answer import answer
from normexp.analysis.report.augmentation import Augmentation
from normexp.analysis.report.blocks import blocks
from normexp.analysis.report.comparisons import compare_cells
from normexp.analysis.report.learned import readings_section
from normexp.analysis.report.report import Choices
from normexp.analysis.rows import Run
from normexp.analysis.scores import accuracies, chance_of
from normexp.analysis.spread import SHARE, spread
from normexp.runs.files import write_atomic
from normexp.runs.lock import locked
from normexp.runs.result import RunResult
from normexp.runs.tested import SEVERITIES
from normexp.runs.text import markdown_table
from normexp.tuned import Tuned

# What TensorBoard reads, also where a process was killed as it wrote.
FILES = "*tfevents*"
ANSWER = "answer"
"""The run, and the tag, of what is said of all cells."""
CURVES = {
    f"{half}/{what}": f"{half}_{what}" for half in ("train", "val") for what in ("loss", "accuracy")
}
"""The tag of each entry of a result's history."""

METRICS: Mapping[str, Measure] = {
    "test/gap": lambda run: _share(gap(run)),
    "cost/seconds": seconds,
    "cost/images_per_second": speed,
}
"""Beside accuracies, what HParams shows: of finished runs."""

Point = tuple[int, Summary]
"""What TensorBoard shows at a step."""


def write_view(
    runs: Sequence[Run],
    overview: Sequence[Run],
    choices: Choices,
    folder: Path,
    tuned: Sequence[Tuned] = (),
) -> int:
    """Write the view of the cells of `runs` into `folder`, and return their number.

    The answer, figures and tables are on the runs of `overview`; `tuned` are the learning rates
    that were chosen. What is out of date is removed.
    """
    found = _cells(runs)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, wait=True):
        tags: set[str] = set()
        for name, own in found.items():
            points = [*_hparams(own), *_aggregated(own)]
            tags |= {value.tag for _, summary in points for value in summary.value}
            _put(folder / name, points, own)
        _put(folder / ANSWER, [(0, board.layout(tags)), *_overview(overview, choices, tuned)], runs)
        for cell in {file.parent for file in folder.glob(f"*/{FILES}")}:
            if cell.name not in (*found, ANSWER):
                shutil.rmtree(cell)
        for file in folder.glob(FILES):  # of an older version
            file.unlink()
    return len(found)


def _cells(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs of each cell by its name, without the digest where that is its own."""
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        if run.state in ("finished", "diverged"):
            grouped.setdefault(run.spec.cell_name, []).append(run)
    short = {name: name.rpartition("-")[0] for name in grouped}
    number = Counter(short.values())
    return {n if number[n] == 1 else name: grouped[name] for name, n in short.items()}


def _hparams(runs: Sequence[Run]) -> Iterator[Point]:
    """Yield the settings of a cell, and the means that stand beside them."""
    first = next(run for run in runs if run.result)
    yield 0, board.experiment(first.factors)
    yield 0, board.session(first.spec.cell_name, first.factors, first.modified)
    last = first.result.steps if first.result else 0
    for tag, measure in METRICS.items():
        values = [value for run in runs if (value := measure(run)) is not None]
        if values:
            yield last, board.scalar(tag, fmean(values))
    yield last, board.scalar("test/accuracy_contrast_5", fmean(_shares(runs, at_contrast("5"))))
    outcome = "finished" if any(run.state == "finished" for run in runs) else "diverged"
    yield last, board.session_end(outcome, max(run.modified for run in runs))


def _aggregated(runs: Sequence[Run]) -> Iterator[Point]:
    results = [run.result for run in runs if run.result]
    finished = [result for result in results if result.test]
    # A diverged run counts as chance at the end; it has no whole curve.
    last = (finished or results)[0].steps
    contrasts = [_shares(runs, at_contrast(severity)) for severity in ("0", *SEVERITIES)]
    ends = [({"contrast/accuracy": i}, shares) for i, shares in enumerate(contrasts)]
    ends.append(({"test/accuracy": last}, contrasts[0]))
    for places, values in (*_values(finished), *ends):
        for tag, step in places.items():
            within = SHARE if "accuracy" in tag or tag.startswith("gate/") else None
            found = spread(values, within=within)
            interval = found.interval
            yield step, board.scalar(tag, found.mean)
            if interval is not None:
                parts = {"mean": found.mean, "low": interval.low, "high": interval.high}
                for what, value in parts.items():
                    yield step, board.scalar(board.interval_tag(tag, what), value)


def _share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _shares(runs: Sequence[Run], measure: Measure) -> list[float]:
    """Return an accuracy of each seed as a share, where chance stands for a run that diverged."""
    return [*accuracies(runs, lambda run: _share(measure(run)), chance_of(runs), 1).values.values()]


def _values(results: Sequence[RunResult]) -> Iterator[tuple[dict[str, int], list[float]]]:
    """Yield the value of each finished seed, and at which step of which curves it stands."""
    for of_epoch in zip(*(result.history for result in results), strict=False):
        step, images = of_epoch[0].step, of_epoch[0].images
        for tag, key in CURVES.items():
            yield {tag: step, f"by_images/{tag}": images}, [getattr(row, key) for row in of_epoch]
    for name in results[0].readings if results else ():
        if all(name in result.readings for result in results):
            yield {name: results[0].steps}, [result.readings[name] for result in results]


def _overview(runs: Sequence[Run], choices: Choices, tuned: Sequence[Tuned]) -> Iterator[Point]:
    parts = blocks(runs, choices.by)
    found = compare_cells(parts, choices.reference, choices.margin)
    tried = Augmentation.of(runs, choices.by, choices.margin)
    # Before the tables, in the order of the alphabet.
    yield 0, board.text(ANSWER, "\n\n".join(answer(parts, found, tried, tuned)))
    for block in parts:
        sections = [accuracy_section(block, choices.margin, choices.level, "")]
        if block.has(accuracy):
            sections.append(contrast_section(block, choices.level, ""))
        if learned := readings_section(block, choices.level, ""):
            sections.append(learned)
        for section in sections:
            yield from _shown(section, f" {block.title}" if block.title else "")


def _shown(section: Section, where: str) -> Iterator[Point]:
    for figure in section.figures:
        yield 0, board.image(f"{ANSWER}/{figure.name}{where}", png(figure.drawing))
    for table in section.tables:
        words = [*section.words, table.caption, markdown_table(table.head, table.rows)]
        yield 0, board.text(f"{ANSWER}/{table.name} table{where}", "\n\n".join(words))


def _put(folder: Path, points: Sequence[Point], runs: Sequence[Run]) -> None:
    """Make the points the only ones in `folder`; their time is that of the latest result."""
    files = (run.folder.result_file for run in runs)
    time = max((file.stat().st_mtime for file in files if file.exists()), default=0.0)
    content = io.BytesIO()
    writer = RecordWriter(content)
    writer.write(Event(wall_time=time, file_version="brain.Event:2").SerializeToString())
    for step, summary in points:
        writer.write(Event(wall_time=time, step=step, summary=summary).SerializeToString())
    digest = hashlib.sha256(content.getvalue()).hexdigest()[:8]
    file = folder / f"events.out.tfevents.{time:.0f}.{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        write_atomic(file, content.getvalue())
    for other in folder.glob(FILES):
        if other != file:
            other.unlink()
