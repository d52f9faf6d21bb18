"""What a report says of pairs of cells."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.made import make_run, make_study
from scipy import stats

from normexp.analysis.report.blocks import blocks
from normexp.analysis.report.comparisons import CellComparison, compare_cells, table, words
from normexp.analysis.report.leads import leads
from normexp.analysis.rows import runs
from normexp.errors import UserError

NOISE = (0.0, 0.004, -0.003, 0.002, -0.001, 0.003, -0.004, 0.001)
"""What the seeds of a norm differ by, apart from what they share."""


def compared(outputs: Path, reference: str | None = None) -> dict[str, CellComparison]:
    found = compare_cells(blocks(runs(outputs), ["norm"]), reference, margin=0.5, level=0.95)
    return {str(each.series): each for each in found}


def study(outputs: Path, seeds: int, **levels: float) -> None:
    """Norms at these accuracies, with noise over seeds that is another for each norm."""
    for i, (norm, level) in enumerate(levels.items()):
        for seed in range(seeds):
            shared = 0.02 * seed
            own = NOISE[(seed + 3 * i) % len(NOISE)]
            make_run(outputs, level + shared + own, norm=norm, seed=seed)


def test_higher_lower_and_the_same_are_told(tmp_path: Path) -> None:
    study(tmp_path, 8, batch=0.5, instance=0.4, both=0.55)
    make_study(tmp_path, ["serial"], [8], 8, lambda _, __, s: 0.5 + 0.02 * s + NOISE[s])
    found = compared(tmp_path)
    assert {name: each.verdict for name, each in found.items()} == {
        "instance": "lower",
        "both": "higher",
        "serial": "the same",
    }
    assert {each.reference for each in found.values()} == {"batch"}
    assert {each.comparison.family.size for each in found.values()} == {3}
    lower = found["instance"].comparison
    assert lower.paired is not None
    own = [100 * (-0.1 + NOISE[(s + 3) % 8] - NOISE[s]) for s in range(8)]
    assert lower.paired.mean == pytest.approx(sum(own) / 8)
    assert lower.p == pytest.approx(3 * 2 / 2**8)  # Holm's factor, the smallest p of 8 seeds
    expected = stats.ttest_1samp(own, 0).confidence_interval(0.95)
    assert (lower.paired.low, lower.paired.high) == pytest.approx(tuple(expected))


def test_five_seeds_decide_nothing_and_the_report_says_so(tmp_path: Path) -> None:
    study(tmp_path, 5, batch=0.5, instance=0.2)
    found = compared(tmp_path)
    assert found["instance"].verdict == "undecided"
    said = " ".join(words([*found.values()]))
    assert "With 5 seeds none of 1 comparison can be told from chance" in said
    assert "6 seeds would do" in said


def test_one_seed_cannot_tell(tmp_path: Path) -> None:
    study(tmp_path, 1, batch=0.5, instance=0.2)
    assert compared(tmp_path)["instance"].verdict == "one seed cannot tell"


def test_runs_without_a_common_seed_are_no_pair(tmp_path: Path) -> None:
    make_run(tmp_path, 0.5, norm="batch", seed=0)
    make_run(tmp_path, 0.5, norm="instance", seed=1)
    found = [*compared(tmp_path).values()]
    only = found[0].comparison
    assert (found[0].verdict, only.paired, only.family.size) == ("no pair of runs", None, 0)
    assert table(found, 0.5, 0.95, "t").rows[0][1] == "0"
    assert "nothing can be compared" in words(found)[0]


def test_without_batch_norm_the_first_is_the_reference_or_the_one_that_is_named(
    tmp_path: Path,
) -> None:
    study(tmp_path, 2, group=0.5, instance=0.4, none=0.3)
    assert compared(tmp_path)["none"].reference == "group"
    assert compared(tmp_path, "none")["group"].reference == "none"
    with pytest.raises(UserError, match="reference=bath: no run has it; there are: group"):
        compared(tmp_path, "bath")


def test_the_family_is_all_comparisons_of_the_report(tmp_path: Path) -> None:
    for batch_size in (4, 8):
        for contrast in ("none", "jitter"):
            make_study(
                tmp_path, ["batch", "both", "none"], [batch_size], 2, lambda *_: 0.5,
                contrast=contrast,
            )  # fmt: skip
    found = compare_cells(blocks(runs(tmp_path), ["norm", "batch_size"]), None, 0.5, 0.95)
    assert len(found) == 8
    assert {each.comparison.family.size for each in found} == {8}


def test_a_lead_is_of_the_best_over_the_second_on_common_seeds(tmp_path: Path) -> None:
    for seed, (batch, both) in enumerate([(0.5, 0.54), (0.52, 0.58), (0.51, 0.53)]):
        make_run(tmp_path, batch, norm="batch", seed=seed)
        make_run(tmp_path, both, norm="both", seed=seed)
        make_run(tmp_path, "diverged", norm="none", seed=seed)
    (block,) = blocks(runs(tmp_path), ["norm"])
    (lead,) = leads(block, 0.5, 0.95)
    assert (lead.best, lead.second) == ("both", "batch")
    assert lead.paired is not None
    assert lead.paired.mean == pytest.approx(4)
    assert str(lead).startswith("Best: both, 55.0 %, 4.00 [")
