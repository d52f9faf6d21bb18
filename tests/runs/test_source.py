from __future__ import annotations

import sys
from pathlib import Path

import pytest

from normexp.runs.source import own_source, targets

NORM = "from torch import nn\nimport helper\n\nclass Halved(nn.BatchNorm2d):\n    pass\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with a user's own modules."""
    (tmp_path / "mynorms.py").write_text(NORM)
    (tmp_path / "helper.py").write_text("FACTOR = 0.5\n")
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "norms.py").write_text("from mypackage.base import Base\nfrom . import more\n")
    (package / "base.py").write_text("Base = object\n")
    (package / "more.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def settings(target: str) -> dict[str, object]:
    return {"norm": {"layer": {"_target_": target}}, "model": {"network": {"_target_": "a.b.C"}}}


def source(target: str) -> dict[str, str]:
    return own_source(settings(target))


def test_parts_of_normexp_torch_and_the_standard_library_are_not_the_users_own() -> None:
    for target in ("normexp.norms.gated.GatedNorm", "torch.nn.BatchNorm2d", "os.path.join"):
        assert source(target) == {}


def test_an_edit_of_the_module_changes_its_digest(folder: Path) -> None:
    before = source("mynorms.Halved")
    assert list(before) == ["mynorms"]
    (folder / "mynorms.py").write_text(NORM + "# edited\n")
    assert source("mynorms.Halved") != before


def test_an_edit_of_what_the_module_imports_from_its_folder_changes_its_digest(
    folder: Path,
) -> None:
    before = source("mynorms.Halved")
    (folder / "unrelated.py").write_text("x = 2\n")
    assert source("mynorms.Halved") == before
    (folder / "helper.py").write_text("FACTOR = 0.7\n")
    assert source("mynorms.Halved") != before


@pytest.mark.parametrize("edited", ["base.py", "more.py", "norms.py"])
def test_imports_within_a_package_count(folder: Path, edited: str) -> None:
    before = source("mypackage.norms.Halved")
    assert list(before) == ["mypackage.norms"]
    (folder / "mypackage" / edited).write_text("Base = int\n")
    assert source("mypackage.norms.Halved") != before


def test_a_module_with_a_syntax_error_has_a_digest_and_is_not_imported(folder: Path) -> None:
    sys.modules.pop("mynorms", None)  # of another test
    (folder / "mynorms.py").write_text("raise SystemExit(\n")
    assert list(source("mynorms.Halved")) == ["mynorms"]
    assert "mynorms" not in sys.modules


def test_targets_are_found_in_lists_and_below_other_parts() -> None:
    nested = {"a": [{"_target_": "x.Y", "inner": {"_target_": "z.W"}}], "b": None}
    assert list(targets(nested)) == ["x.Y", "z.W"]


def test_a_file_with_the_name_of_a_library_is_not_what_a_module_imports(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(folder)])
    monkeypatch.chdir(folder)
    (folder / "mynorms.py").write_text("import random\nimport numpy as np\n" + NORM)
    before = source("mynorms.Halved")
    assert list(before) == ["mynorms"]
    for name in ("random.py", "numpy.py", "torch.py"):
        (folder / name).write_text("x = 1\n")
    assert source("mynorms.Halved") == before
