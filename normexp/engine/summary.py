"""What a run found, as a text for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normexp.board import table
from normexp.runs.outcome import final_words


def summary(result: Mapping[str, Any]) -> str:
    """Return `result.json` in Markdown: accuracy by contrast, gates, tensors of the norm layers."""
    parts = [final_words(result), _cost(result)]
    if test := result["test"]:
        shares = {"0": test["accuracy"], **test["contrast"]}
        accuracy = [f"{100 * share:.1f}" for share in shares.values()]
        parts.append(table(["contrast severity", *shares], [["test accuracy, %", *accuracy]]))
    if readings := result["readings"]:
        rows = [[name, f"{value:.3f}"] for name, value in readings.items()]
        parts.append(table(["reading", "value"], rows))
    if layers := result["layers"]:
        kinds = list(next(iter(layers.values())))
        rows = [[name, *(f"{row[kind]:.3g}" for kind in kinds)] for name, row in layers.items()]
        parts.append(table(["over the channels", *kinds], rows))
    return "\n\n".join(parts)


def _cost(result: Mapping[str, Any]) -> str:
    timing = result["timing"]
    return (
        f"{result['parameters']:,} parameters, {result['steps']} steps, {result['images']} images, "
        f"{timing['seconds']:.0f} s, {timing['images_per_second']:.0f} images/s"
    )
