"""A grid that shares compositions has the settings of cells that Hydra composes one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from normexp import build
from normexp.commands.grid import Grid
from normexp.commands.train import by_hand
from normexp.errors import UserError
from normexp.parts import plain

Outcome = tuple[object, ...] | str
SLOW = pytest.mark.slow


class Counting:
    """A config loader that counts its compositions of cells."""

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        self.master = loader.load_configuration("train", [], RunMode.MULTIRUN)
        self.compositions = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.loader, name)

    def load_sweep_config(self, master: DictConfig, overrides: list[str]) -> DictConfig:
        self.compositions += 1
        return self.loader.load_sweep_config(master, overrides)


@pytest.fixture
def loader() -> Iterator[Counting]:
    with initialize_config_dir(build.conf_dir(), version_base="1.3"):
        yield Counting(GlobalHydra.instance().config_loader())


def cells(*axes: str) -> list[list[str]]:
    """The overrides of a grid; the values of an axis are separated by `|`."""
    keys = [axis.partition("=")[0] for axis in axes]
    values = [axis.partition("=")[2].split("|") for axis in axes]
    return [
        [
            f"{key}={value}" if not key.startswith("~") else key
            for key, value in zip(keys, each, strict=True)
        ]
        for each in itertools.product(*values)
    ]


def shared(grid: Grid, overrides: Sequence[str]) -> Outcome:
    try:
        settings, arguments = grid.cell(overrides)
        return (*build.checked_spec(settings), settings, arguments)
    except (HydraException, UserError) as error:
        return str(error)


def one_by_one(loader: Counting, overrides: Sequence[str]) -> Outcome:
    try:
        cfg = loader.loader.load_sweep_config(loader.master, list(overrides))
        HydraConfig.instance().set_config(cfg)
        arguments = by_hand(cfg.hydra)
        with open_dict(cfg):
            del cfg["hydra"]
        return (*build.run_spec(cfg), plain(cfg), arguments)
    except (HydraException, UserError) as error:
        return str(error)


@pytest.mark.parametrize(
    ("axes", "compositions"),
    [
        (("norm=batch|both", "seed=0|1"), 2),
        pytest.param(("experiment=heads|quickstart", "optimizer=adamw", "seed=0|7"), 2, marks=SLOW),
        pytest.param(
            ("data=generated", "data.source.num_train=90|91", "study=null|a|2024"),
            1,
            marks=SLOW,
        ),
        # What others refer to, in one step and in two, and a value in the place of a reference.
        pytest.param(
            ("model.depth=6|12", "model.order=conv-act-norm|conv-norm-act"), 1, marks=SLOW
        ),
        pytest.param(("model.network.depth=12|18", "model.depth=6|12"), 1, marks=SLOW),
        pytest.param(("runtime.cache_dir=a|b", "data=cifar10|generated"), 2, marks=SLOW),
        (("seed=${batch_size}|3|${epochs}", "batch_size=2|5"), 3),
        # A list in the place of another and of a number, nothing in the place of both.
        (("model.network.widths=[8,8,8,8,8,8]|[4,4,4,8,8,8]", "epochs=1|2.0"), 1),
        pytest.param(("label_smoothing=0.1|0|[1]|null", "steps=null"), 2, marks=SLOW),
        pytest.param(("norm.layer.eps=1e-3|'1'|true", "norm=batch"), 1, marks=SLOW),
        pytest.param(("optimizer.lr=tuned|0.2|1|null", "norm=batch"), 1, marks=SLOW),
        # More than the value of a key.
        pytest.param(("+norm.layer.affine=true|false", "seed=0|1"), 2, marks=SLOW),
        (("++norm.layer.eps=1|2", "~norm.layer.momentum=", "seed=0|1"), 2),
        pytest.param(("norm.layer={_target_:a.B,eps:1}|{eps:2}", "seed=0|1"), 2, marks=SLOW),
        pytest.param(("data.source=null|3", "data.source.seed=1|2"), 4, marks=SLOW),
        (("~contrast=", "+contrast=strong|low", "seed=0|1"), 2),
        pytest.param(("contrast@model.own=low", "seed=0|1"), 2, marks=SLOW),
        # Mistakes.
        pytest.param(("norm=bach|batch", "seed=0|1"), None, marks=SLOW),
        pytest.param(("batch_size=8|-4", "optimizer.rl=1|2"), None, marks=SLOW),
        pytest.param(("model.network.widths.0=8|9", "seed=0|1"), None, marks=SLOW),
        pytest.param(("epochs=null|???", "precision=fp32|half"), None, marks=SLOW),
        (("seed=${nosuch}|1|${seed}",), None),
        pytest.param(("model.depth=6|${model.nosuch}", "seed=0|1"), None, marks=SLOW),
    ],
)
def test_a_grid_has_the_settings_of_cells_composed_one_by_one(
    loader: Counting, axes: tuple[str, ...], compositions: int | None
) -> None:
    grid = Grid(loader, loader.master)  # type: ignore[arg-type]
    for overrides in cells(*axes):
        assert shared(grid, overrides) == one_by_one(loader, overrides)
    assert compositions in (None, loader.compositions)


def test_a_rate_that_is_to_be_looked_up_stays_the_word_beside_numbers(loader: Counting) -> None:
    grid = Grid(loader, loader.master)  # type: ignore[arg-type]
    found = []
    for overrides in cells("optimizer.lr=0.2|tuned|3|tuned"):
        optimizer = grid.cell(overrides)[0]["optimizer"]
        assert isinstance(optimizer, dict)
        found.append(optimizer["lr"])
    assert found == [0.2, "tuned", 3, "tuned"]
    assert loader.compositions == 1


def test_each_folder_of_images_has_its_own_digest(loader: Counting, tmp_path: Path) -> None:
    for number in range(2):
        image = tmp_path / str(number) / "train/cat" / f"{number}.png"
        image.parent.mkdir(parents=True)
        image.touch()
    roots = f"{tmp_path / '0'}|{tmp_path / '1'}|{tmp_path / 'absent'}"
    grid = Grid(loader, loader.master)  # type: ignore[arg-type]
    found = [
        (shared(grid, overrides), one_by_one(loader, overrides))
        for overrides in cells("data=images", f"data.root={roots}", "seed=0|1")
    ]
    assert [each for each, _ in found] == [each for _, each in found]
    assert len({str(each) for each, _ in found}) == 5  # absent is absent, whatever the seed
    assert loader.compositions == 1


def test_settings_may_refer_to_what_hydra_knows_of_the_cell(loader: Counting) -> None:
    grid = Grid(loader, loader.master)  # type: ignore[arg-type]
    for overrides in cells("data.root=${hydra:overrides.task.1}", "seed=0|1"):
        assert shared(grid, overrides) == one_by_one(loader, overrides)
