"""Training imports nothing of torch's compiler, which is there when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from normexp.cli import run

tiny = ["data=generated", "data.source.num_train=20", "data.source.num_test=10", "batch_size=3"]
for optimizer in ("sgd", "adamw"):
    assert run(["train", *tiny, "steps=2", f"optimizer={optimizer}"]) == 0
assert "torch._dynamo.eval_frame" not in sys.modules

import torch

@torch.compiler.disable
def plain(x):
    return x

assert "torch._dynamo.eval_frame" in sys.modules

@torch.compile(backend="eager")
def doubled(x):
    return 2 * plain(x)

assert doubled(torch.ones(2)).tolist() == [2.0, 2.0]
assert run(["train", *tiny, "steps=3"]) == 0
"""


def test_the_compiler_is_imported_when_it_is_asked_for_and_not_before(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
