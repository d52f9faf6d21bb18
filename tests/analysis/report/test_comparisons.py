"""What a report says of pairs of cells."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.made import make_run, make_study
from helpers.rows import runs
from scipy import stats

from normexp.analysis.report.blocks import blocks
from normexp.analysis.report.comparisons import (
    CellComparison,
    compare_cells,
    further,
    table,
    words,
)
from normexp.analysis.report.leads import leads
from normexp.errors import UserError

NOISE = (0.0, 0.004, -0.003, 0.002, -0.001, 0.003, -0.004, 0.001)
"""What the seeds of a norm differ by, apart from what they share."""


def compared(outputs: Path, reference: str | None = None) -> dict[str, CellComparison]:
    found = compare_cells(blocks(runs(outputs), ["norm"]), reference, margin=0.5)
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
    assert {name: each.comparison.outcome for name, each in found.items()} == {
        "instance": "less",
        "both": "more",
        "serial": "same",
    }
    assert {each.reference for each in found.values()} == {"batch"}
    lower = found["instance"].comparison.graded
    assert lower is not None
    own = [100 * (-0.1 + NOISE[(s + 3) % 8] - NOISE[s]) for s in range(8)]
    assert lower.mean == pytest.approx(sum(own) / 8)
    assert lower.p == pytest.approx(2 / 2**8)  # the smallest of 8 seeds, in any family
    assert lower.interval is not None
    assert lower.interval.high < 0


def test_five_seeds_decide_nothing_and_are_likely_with_the_command_that_goes_on(
    tmp_path: Path,
) -> None:
    study(tmp_path, 5, batch=0.5, instance=0.22)
    found = compared(tmp_path)
    assert found["instance"].comparison.text == "likely: behind by 28.0 points in 5 of 5 seeds"
    go_on = further([*found.values()])
    assert go_on is not None
    words_typed = go_on.command.split()
    assert words_typed[:3] == ["normexp", "train", "-m"]
    assert {"norm=instance,batch", "until=decided"} <= set(words_typed)
    assert go_on.seconds == pytest.approx(2 * 6.0)  # a seed more of two cells, 6 s each


def test_two_seeds_are_open_with_the_lead_and_without_an_interval(tmp_path: Path) -> None:
    study(tmp_path, 2, batch=0.5, instance=0.22)
    (found,) = compared(tmp_path).values()
    assert found.comparison.text.startswith("open: behind by 2")
    assert found.comparison.text.endswith(" points in 2 of 2 seeds")
    assert table([found], 0.5, "t").rows[0][3] == "–"
    assert further([found]) is not None


def test_runs_without_a_common_seed_are_no_pair(tmp_path: Path) -> None:
    make_run(tmp_path, 0.5, norm="batch", seed=0)
    make_run(tmp_path, 0.5, norm="instance", seed=1)
    found = [*compared(tmp_path).values()]
    assert (found[0].comparison.outcome, found[0].comparison.graded) == ("missing", None)
    assert table(found, 0.5, "t").rows[0][1] == "0"
    assert "nothing can be compared" in words(found)


def test_survivors_do_not_win(tmp_path: Path) -> None:
    for seed in range(12):
        make_run(tmp_path, 0.7 + NOISE[seed % 8], norm="batch", seed=seed)
        make_run(tmp_path, 0.74 if seed < 6 else "diverged", norm="none", seed=seed)
    (found,) = compared(tmp_path).values()
    graded = found.comparison.graded
    assert graded is not None
    assert (graded.seeds, round(graded.mean)) == (12, -28)  # 74 and 10 % against 70 %
    assert table([found], 0.5, "t").rows[0][-1] == "none: 6 of 12 diverged"
    (block,) = blocks(runs(tmp_path), ["norm"])
    assert [lead.best for lead in leads(block)] == ["batch"]


def test_cells_at_chance_and_ties_have_no_best(tmp_path: Path) -> None:
    for seed in range(3):
        make_run(tmp_path, 0.1, norm="batch", batch_size=4, seed=seed)
        make_run(tmp_path, 0.105, norm="instance", batch_size=4, seed=seed)
        make_run(tmp_path, 0.5, norm="batch", batch_size=8, seed=seed)
        make_run(tmp_path, 0.5, norm="instance", batch_size=8, seed=seed)
    (block,) = blocks(runs(tmp_path), ["norm", "batch_size"])
    assert list(leads(block)) == []
    at_chance, _ = compare_cells([block], None, 0.5)
    assert at_chance.comparison.text == "not above chance"


def test_without_batch_norm_the_first_is_the_reference_or_the_one_that_is_named(
    tmp_path: Path,
) -> None:
    study(tmp_path, 2, group=0.5, instance=0.4, none=0.3)
    assert compared(tmp_path)["none"].reference == "group"
    assert compared(tmp_path, "none")["group"].reference == "none"
    with pytest.raises(UserError, match="reference=bath: no run has it; there are: group"):
        compared(tmp_path, "bath")


def test_the_family_is_the_comparisons_of_one_table(tmp_path: Path) -> None:
    for contrast in ("none", "jitter"):
        make_study(
            tmp_path, ["batch", "both", "none"], [4, 8], 2, lambda *_: 0.5, contrast=contrast
        )
    found = compare_cells(blocks(runs(tmp_path), ["norm", "batch_size"]), None, 0.5)
    assert len(found) == 8
    assert {each.comparison.family.name for each in found} == {"the comparisons of this table"}


def test_a_difference_has_an_interval_over_images_too(tmp_path: Path) -> None:
    study(tmp_path, 8, batch=0.5, instance=0.4)
    (found,) = compared(tmp_path).values()
    graded, images = found.comparison.graded, found.images
    assert graded is not None
    assert images is not None
    assert images.mean == pytest.approx(graded.mean, abs=0.05)
    accuracies = [
        [0.4 + 0.02 * s + NOISE[(s + 3) % 8], 0.5 + 0.02 * s + NOISE[s]] for s in range(8)
    ]
    expected = stats.pearsonr(*zip(*accuracies, strict=True)).statistic
    assert images.correlation == pytest.approx(expected, abs=0.01)


def test_a_lead_is_of_the_best_over_the_second_on_common_seeds(tmp_path: Path) -> None:
    for seed, (batch, both) in enumerate([(0.5, 0.54), (0.52, 0.58), (0.51, 0.53)]):
        make_run(tmp_path, batch, norm="batch", seed=seed)
        make_run(tmp_path, both, norm="both", seed=seed)
        make_run(tmp_path, "diverged", norm="none", seed=seed)
    (block,) = blocks(runs(tmp_path), ["norm"])
    (lead,) = leads(block)
    assert (lead.best, lead.second) == ("both", "batch")
    assert lead.pairs is not None
    assert list(lead.pairs.differences.values()) == pytest.approx([4, 6, 2])
    assert lead.words.startswith("ahead by 4.00 points [")


def test_the_best_mean_may_lose_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.5, 0.51, 0.49, 0.95)):
        make_run(tmp_path, accuracy, norm="both", seed=seed)
        if seed < 3:
            make_run(tmp_path, 0.55, norm="batch", seed=seed)
    (block,) = blocks(runs(tmp_path), ["norm"])
    (lead,) = leads(block)
    assert lead.best == "both"
    assert lead.words.startswith("−5.00 points [")
