from __future__ import annotations

from pathlib import Path

import pytest

from .commands import LONG, SWEEP, Findings, found, said, train


def by_processes(where: Path, *arguments: str) -> Findings:
    assert train(where, *arguments, "runtime.threads=1") == 0, said(where)
    assert len(found(where)) == 2
    return found(where)


@pytest.fixture(scope="session")
def whole_sweep(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """What an undisturbed sweep by processes finds."""
    return by_processes(tmp_path_factory.mktemp("sweep"), *SWEEP)


@pytest.fixture(scope="session")
def long_sweep(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """What one finds that is long enough to be disturbed."""
    return by_processes(tmp_path_factory.mktemp("long"), *LONG)
