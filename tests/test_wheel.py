"""The wheel holds everything: installed elsewhere, it trains from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_trains_on_drawn_images_from_an_empty_folder(tmp_path: Path) -> None:
    def run(*command: str, cwd: Path) -> str:
        # Only the wheel's own copy may be found, not the clone's.
        environment = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, *command],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist"), cwd=ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--target", str(tmp_path / "site"), str(wheel), cwd=tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    found = run("-c", "import normexp; print(normexp.__file__)", cwd=empty)
    assert Path(found.strip()).is_relative_to(tmp_path / "site")
    few = ("data.source.num_train=100", "data.source.num_test=20", "batch_size=8", "steps=3")
    narrow = "model.network.widths=[8,8,8,8,8,8]"
    # A sweep of one cell: the launcher plugin must be in the wheel too.
    told = run("-m", "normexp", "train", "-m", "data=generated", *few, narrow, cwd=empty)
    assert "normexp report" in told
    assert len(list((empty / "outputs" / "runs").glob("cnn-batch-b8-none-s0-*/result.json"))) == 1
    # The runs that ship are no Python file, nor are the page's templates.
    assert "finished" in run("-m", "normexp", "runs", "study=reference", cwd=empty)
    run("-m", "normexp", "report", cwd=empty)
    assert (empty / "outputs" / "reports" / "all" / "index.html").exists()
