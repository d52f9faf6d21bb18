"""What the lens found as a picture: accuracy against contrast."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from normexp.analysis.lens.tables import STATISTICS
from normexp.runs.record import LensRow

MARKERS = "osD^v<>Pp*"


def picture(runs: Mapping[str, Sequence[LensRow]], path: Path) -> None:
    """Draw each run's accuracy against contrast, a panel for running and one for test-batch."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    for i, (statistics, title) in enumerate(STATISTICS.items()):
        axes = figure.add_subplot(1, 2, i + 1)
        for j, (name, rows) in enumerate(runs.items()):
            curve = sorted(
                (row["level"], 100 * row["accuracy"])
                for row in rows
                if (row["axis"], row.get("change")) == ("contrast", "curve")
                and row["statistics"] == statistics
            )
            look = f"C{j % 10}{MARKERS[j % 10]}-"
            x, y = zip(*curve, strict=True) if curve else ((), ())
            axes.plot(x, y, look, label=name, markersize=4)
        axes.axvline(1, color="0.8", zorder=0)
        axes.set(title=title, xlabel="contrast c (1: unchanged)", ylim=(0, 100))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("test accuracy, %")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
