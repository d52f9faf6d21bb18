"""A run's result as a text for TensorBoard."""

from dataclasses import asdict

from normexp.runs.result import RunResult
from normexp.runs.text import markdown_table


def summary(result: RunResult) -> str:
    """Return a result in Markdown: accuracy by contrast, gates, tensors of the norm layers."""
    parts = [str(result), _cost(result)]
    if test := result.test:
        shares = {"0": test.accuracy, **test.contrast}
        accuracy = [f"{100 * share:.1f}" for share in shares.values()]
        parts.append(
            markdown_table(["contrast severity", *shares], [["test accuracy, %", *accuracy]])
        )
    if readings := result.readings:
        rows = [[name, f"{value:.3f}"] for name, value in readings.items()]
        parts.append(markdown_table(["reading", "value"], rows))
    if result.layers:
        layers = {name: asdict(values) for name, values in result.layers.items()}
        kinds = list(next(iter(layers.values())))
        rows = [[name, *(f"{row[kind]:.3g}" for kind in kinds)] for name, row in layers.items()]
        parts.append(markdown_table(["over the channels", *kinds], rows))
    return "\n\n".join(parts)


def _cost(result: RunResult) -> str:
    timing = result.timing
    return (
        f"{result.parameters:,} parameters, {result.steps} steps, {result.images} images, "
        f"{timing.seconds:.0f} s, {timing.images_per_second:.0f} images/s"
    )
