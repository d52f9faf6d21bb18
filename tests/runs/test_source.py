from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from normexp.errors import UserError
from normexp.runs.source import own_source, search_own, targets

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


def in_module(target: str) -> dict[str, object]:
    return {"_target_": target}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A part and what it imports, neither imported yet."""
    (tmp_path / "mypart.py").write_text("import myhelper\nclass Mine:\n    pass\n")
    (tmp_path / "myother.py").write_text("import myhelper\nclass Other:\n    pass\n")
    (tmp_path / "myhelper.py").write_text("FACTOR = 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    importlib.invalidate_caches()
    yield tmp_path
    for name in ("mypart", "myother", "myhelper"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("target", ["mypart.Mine", "mypart.Mine.made", "myother.Other"])
def test_what_has_changed_since_it_was_called_is_refused(own: Path, target: str) -> None:
    search_own(in_module("mypart.Mine"))
    importlib.import_module("mypart")
    search_own(in_module("mypart.Mine"))
    (own / "myhelper.py").write_text("FACTOR = 2\n")
    with pytest.raises(UserError, match=r"myhelper\.py has changed since this process"):
        search_own(in_module(target))


def test_what_has_changed_since_the_caller_imported_it_is_refused(own: Path) -> None:
    importlib.import_module("mypart")
    (own / "mypart.py").write_text("class Mine:\n    changed = True\n")
    with pytest.raises(UserError, match=r"mypart\.py has changed since this process"):
        search_own(in_module("mypart.Mine"))


def test_what_was_reloaded_before_it_is_called_is_taken(own: Path) -> None:
    module = importlib.import_module("mypart")
    (own / "mypart.py").write_text("class Mine:\n    changed = True\n")
    importlib.reload(module)
    search_own(in_module("mypart.Mine"))


def test_what_was_never_imported_may_change(own: Path) -> None:
    search_own(in_module("mypart.Mine"))
    (own / "myhelper.py").write_text("FACTOR = 2\n")
    search_own(in_module("mypart.Mine"))
