"""What `normexp tensorboard` says where it cannot show anything. It is served in tests/report."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.typed import normexp


@pytest.mark.parametrize("arguments", [(), ("runtime.outputs=elsewhere",), ("study=try",)])
def test_without_a_run_it_says_how_to_make_one(arguments: tuple[str, ...], tmp_path: Path) -> None:
    answer = normexp(tmp_path, "tensorboard", *arguments)
    (line,) = answer.err.splitlines()
    assert (answer.code, answer.out) == (1, "")
    assert line.startswith("normexp: there is no run in ")
    assert line.endswith("make one: normexp train")
    assert not list(tmp_path.rglob("cells"))


def test_a_setting_that_it_does_not_have_is_told(tmp_path: Path) -> None:
    answer = normexp(tmp_path, "tensorboard", "runtime.output=here")
    (line,) = answer.err.splitlines()
    assert answer.code == 1
    assert "did you mean runtime.outputs?" in line
