"""The command that goes on is typed, and trains the cells that are compared."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.made import result
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from normexp.analysis.compare import Comparison, Family, Pairs, compare
from normexp.analysis.goes_on import goes_on, more_seeds
from normexp.analysis.rows import Run
from normexp.runs.folder import RunFolder
from normexp.runs.spec import RunSpec

SpecOf = Callable[..., RunSpec]
OWN = ("norm=custom", "norm.layer._target_=torch.nn.InstanceNorm2d")
DATA = ("data=generated", "epochs=3")


def open_comparison() -> Comparison:
    (found,) = compare(Family("test"), [Pairs((0, 1), (50.0, 60.0), (55.0, 54.0), 0.5)])
    return found


@pytest.fixture
def cell(spec_of: SpecOf) -> Callable[..., list[Run]]:
    """Two seeds of what is typed, as a sweep leaves them."""

    def made(*arguments: str) -> list[Run]:
        runs = []
        first = spec_of(*(each for each in arguments if not each.startswith("runtime.")))
        for seed in (0, 1):
            spec = replace(first, seed=seed)
            command = shlex.join(["normexp", "train", *arguments, f"seed={seed}"])
            folder = RunFolder(Path("runs", spec.name))
            runs.append(Run(folder, spec, "finished", result(spec, 0.5), command=command))
        return runs

    return made


def cells_of(commands: str, spec_of: SpecOf) -> list[str]:
    """The names of the cells that these sweeps train, composed as Hydra does."""
    names: list[str] = []
    for line in commands.splitlines():
        program, word, flag, *arguments = shlex.split(line)
        assert (program, word, flag) == ("normexp", "train", "-m")
        overrides = OverridesParser.create().parse_overrides(arguments)
        (lists,) = BasicSweeper.split_arguments(overrides, None)
        names += {
            spec_of(*(each for each in own if each != "until=decided")).cell_name for own in lists
        }
    return sorted(names)


def names_of(*cells: list[Run]) -> list[str]:
    return sorted(own[0].spec.cell_name for own in cells)


def test_cells_of_a_grid_have_one_command(cell: Callable[..., list[Run]], spec_of: SpecOf) -> None:
    cells = {
        (norm, size): cell(f"norm={norm}", f"batch_size={size}", *DATA, "runtime.threads=1")
        for norm in ("batch", "instance", "both")
        for size in (8, 32)
    }
    pairs = [(cells[norm, n], cells["batch", n]) for n in (8, 32) for norm in ("instance", "both")]
    further = goes_on(pairs, [open_comparison()] * 4)
    assert further is not None
    assert "\n" not in further.command
    assert further.command.endswith(" until=decided")
    assert "runtime." not in further.command
    assert cells_of(further.command, spec_of) == names_of(*cells.values())


def test_a_norm_with_a_setting_of_its_own_is_typed_apart_with_its_seeds(
    cell: Callable[..., list[Run]], spec_of: SpecOf
) -> None:
    cells = {
        (norm[0], size): cell(*norm, f"batch_size={size}", *DATA)
        for norm in (("norm=batch",), ("norm=instance",), OWN)
        for size in (8, 32)
    }
    pairs = [
        (cells[norm, n], cells["norm=batch", n])
        for norm in ("norm=instance", OWN[0])
        for n in (8, 32)
    ]
    further = goes_on(pairs, [open_comparison()] * 4)
    assert further is not None
    decided, *seeds = further.command.splitlines()
    assert cells_of(decided, spec_of) == names_of(*(cells[f"norm={n}", size]
                                                   for n in ("batch", "instance")
                                                   for size in (8, 32)))  # fmt: skip
    assert [line.rpartition(" ")[2].startswith("seed=0,1,2,3,4,5") for line in seeds] == [True] * 2
    apart = names_of(*(cells[n, size] for n in (OWN[0], "norm=batch") for size in (8, 32)))
    assert cells_of("\n".join(seeds), spec_of) == apart


def test_what_is_no_grid_has_a_command_for_each_comparison(
    cell: Callable[..., list[Run]], spec_of: SpecOf
) -> None:
    batch8, both8 = (cell(f"norm={norm}", "batch_size=8", *DATA) for norm in ("batch", "both"))
    batch4, none4 = (cell(f"norm={norm}", *DATA, "batch_size=4") for norm in ("batch", "none"))
    further = goes_on([(both8, batch8), (none4, batch4)], [open_comparison()] * 2)
    assert further is not None
    assert [cells_of(line, spec_of) for line in further.command.splitlines()] == [
        names_of(both8, batch8), names_of(none4, batch4),
    ]  # fmt: skip


def test_a_setting_that_one_command_names_has_its_value_in_the_others(
    cell: Callable[..., list[Run]], spec_of: SpecOf
) -> None:
    first, second = cell("norm=batch", *DATA, "batch_size=128"), cell("norm=instance", *DATA)
    further = goes_on([(second, first)], [open_comparison()])
    assert further is not None
    assert further.command.endswith("until=decided")
    assert cells_of(further.command, spec_of) == names_of(first, second)


def test_grids_that_make_a_larger_one_are_one_command(
    cell: Callable[..., list[Run]], spec_of: SpecOf
) -> None:
    asked = [(norm, size) for size in (4, 64) for norm in ("instance", "group")] + [("both", 16)]
    sizes = (4, 16, 64)
    batch = {size: cell("norm=batch", f"batch_size={size}", *DATA) for size in sizes}
    pairs = [(cell(f"norm={n}", f"batch_size={size}", *DATA), batch[size]) for n, size in asked]
    further = goes_on(pairs, [open_comparison()] * len(pairs))
    assert further is not None
    assert len(further.command.splitlines()) == 2
    assert cells_of(further.command, spec_of) == names_of(*batch.values(), *(a for a, _ in pairs))


def test_twenty_seeds_go_on_with_more_than_twenty(cell: Callable[..., list[Run]]) -> None:
    pair = cell("norm=batch", *DATA), cell("norm=instance", *DATA)
    values = tuple(50.0 + 4 * (seed % 3) for seed in range(20))
    found = compare(Family("test"), [Pairs(tuple(range(20)), values, (53.0,) * 20, 0.5)])
    assert found[0].is_undecided
    further = goes_on([pair], found)
    assert further is not None
    assert further.command.endswith("until=decided max_seeds=40")
    (one, _), _ = pair
    runs = [replace(one, spec=replace(one.spec, seed=seed)) for seed in range(20)]
    assert more_seeds(runs, found).count(",") > 20
