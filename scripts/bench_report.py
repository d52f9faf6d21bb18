"""The time and memory of `normexp report` over made runs: norms × batch sizes × contrasts × seeds.

usage: scripts/bench report [seeds=5]      200 runs a seed
"""

from __future__ import annotations

import json
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NORMS = ("batch", "both", "group", "instance", "none")
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
CONTRASTS = ("none", "jitter", "strong", "low", "gain")


def main() -> None:
    seeds = int(dict(argument.split("=", 1) for argument in sys.argv[1:]).get("seeds", "5"))
    sys.path.insert(0, "tests")
    from helpers.made import make_study

    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        for contrast in CONTRASTS:
            make_study(
                Path(folder),
                NORMS,
                BATCH_SIZES,
                seeds,
                lambda *_: round(draw.uniform(0.6, 0.7), 4),
                contrast=contrast,
            )
        command = [sys.executable, "-m", "normexp", "report", f"runtime.outputs={folder}"]
        began = time.monotonic()
        subprocess.run(command, check=True)
        seconds = time.monotonic() - began
    # In KiB on Linux.
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    runs = len(NORMS) * len(BATCH_SIZES) * len(CONTRASTS) * seeds
    record = {"machine": platform.processor(), "runs": runs, "seconds": seconds, "MiB": memory}
    print(f"{runs} runs: {seconds:.1f} s, {memory:.0f} MiB")
    out = Path("outputs/bench/report.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1))
    print(out)


main()
