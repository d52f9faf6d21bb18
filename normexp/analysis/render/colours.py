"""The colour and the marker of each norm, the same in every drawing, and the ink around them."""

from __future__ import annotations

from zlib import crc32

INK = "#1b1f24"
"""Text and lines of drawings; a page replaces it by its own colour."""
INK_ON_DARK = "#e3e6ea"

# After Okabe and Ito, told apart by the colour-blind; yellow, orange and sky blue are darker than
# theirs, so that each has a contrast of 3 on white and on a dark page.
COLOURS = ("#1873b8", "#d55e00", "#009e73", "#7f7f7f", "#c06a9a", "#9a7b00", "#3d93cf", "#8c6bb1")
MARKERS = "osDXv^P*<>p"
NORMS = (
    *("batch", "instance", "both", "none"),
    *("group", "layer", "ghost", "serial"),
    *("layer2d", "evonorm_b0", "fixup", "weight"),
    *("evonorm_s0", "stem_instance", "group_batch", "split"),
    *("instance_plain", "batch_frozen", "derf", "switchable"),
    *("group_noisy", "dyt", "weight_mean_batch", "weight_std"),
    *("frn", "instance_noisy", "by_depth", "renorm"),
    *("rms2d", "no_stem", "extended_batch", "skipinit"),
    *("batch_memory", "instance_not_stem", "ibn_b", "mean"),
    *("grn", "layer_batch", "weight_std_batch", "custom"),
    *("own",),
)
"""Every eighth has the same colour. Norms that a study compares have different ones."""


def look(name: str) -> tuple[str, str]:
    """Return the colour and the marker of a norm, or of another series by its name."""
    # The name of a cell begins with its norm's.
    norm = name.replace(",", " ").split()[0] if name else name
    place = NORMS.index(norm) if norm in NORMS else crc32(name.encode())
    return COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
