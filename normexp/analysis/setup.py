"""What was trained: the settings that a conclusion rests on, in lines."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

from normexp.analysis.rows import Run, design_of
from normexp.kinds import typed
from normexp.runs.result import Environment
from normexp.runs.runtime import Design
from normexp.runs.text import plural
from normexp.tuned import Tuned, key_of

JPEG = (".jpg", ".jpeg")
RESIDUAL = ("resnet", "resnext")
"""What the names of residual networks begin with."""
FAIR_NONE = ("fixup", "skipinit")
"""Norms that are none, for residual networks."""
WARNING = (
    "one learning rate for all norms, which favours those that it suits: normexp tune finds each "
    "norm's own"
)


def setup(runs: Sequence[Run], tuned: Sequence[Tuned] = ()) -> dict[str, str]:
    """Return what was trained, by its name; `tuned` are the rates that were chosen."""
    counts = {run.result.counts for run in runs if run.result and run.result.counts}
    images = (f"{c.train:,} training, {c.val:,} validation, {c.test:,} test" for c in counts)
    lines = {
        "data": _words(runs, _data),
        "images": "; ".join(sorted(images)),
        "model": "; ".join(_models(runs)),
        "norms": _words(runs, lambda run: run.spec.norm.name),
        "budget": "; ".join(_budgets(runs)),
        "optimizer": _words(runs, _optimizer),
        "learning rate": _rates(runs, tuned),
        "augmentation": _words(runs, _augmentation),
        "precision and device": _words(runs, _machine),
        "seeds": f"{_seeds(runs)}, {_design(runs)}",
    }
    if mixed := list(mixed_cells(runs)):
        lines["mixed cells"] = "; ".join(mixed)
    return {name: words for name, words in lines.items() if words}


def _words(runs: Iterable[Run], of: Callable[[Run], str]) -> str:
    """Return all that is said of the runs, once."""
    return "; ".join(dict.fromkeys(filter(None, map(of, runs))))


def _data(run: Run) -> str:
    data = run.spec.data
    kind = ""
    if data.name == "generated":
        kind = " (drawn images: they prove nothing about photographs)"
    elif _is_jpeg(data.root):
        kind = " (JPEG files, whose compression takes fine contrast away)"
    limit = "" if data.limit is None else f", of which {data.limit:,} are used"
    more = ((data.red_scale, "red_scale"), (data.gain_spread, "gain_spread"))
    changed = "".join(f", {key}={typed(value)}" for value, key in more if value is not None)
    return f"{data.name}{kind}{limit}, standardised by {data.standardise}{changed}"


@cache
def _is_jpeg(root: str | None) -> bool:
    """Whether the first files below a folder are JPEG files; not where it is not there."""
    files = (path for path in Path(root).rglob("*.*") if path.is_file()) if root else iter(())
    return any(path.suffix.lower() in JPEG for path in islice(files, 20))


def _models(runs: Sequence[Run]) -> Iterator[str]:
    by_model: dict[str, set[int]] = {}
    for run in runs:
        model = run.spec.model
        own = "".join(f" {key}={typed(value)}" for key, value in model.own.items())
        widths = model.network.get("widths")
        own += f" widths={typed(widths)}" if widths else ""
        sizes = by_model.setdefault(f"{model.name}{own} padding_mode={model.padding_mode}", set())
        if run.result:
            sizes.add(run.result.parameters)
    for words, sizes in by_model.items():
        least, most = min(sizes, default=0), max(sizes, default=0)
        count = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        yield f"{words}, {count} parameters" if sizes else words


def budget_words(run: Run) -> str:
    """Return how long a run trains, in steps or epochs."""
    spec = run.spec
    return plural(spec.steps or 0, "step") if spec.epochs is None else plural(spec.epochs, "epoch")


def _budgets(runs: Iterable[Run]) -> Iterator[str]:
    """Yield each budget with the batch sizes that had it."""
    sizes: dict[str, set[int]] = {}
    for run in runs:
        spec = run.spec
        budget = budget_words(run)
        accumulate = f" with {spec.accumulate} batches a step" if spec.accumulate > 1 else ""
        sizes.setdefault(budget + accumulate, set()).add(spec.batch_size)
    for budget, own in sizes.items():
        yield f"{budget} at batch size {', '.join(map(str, sorted(own)))}"


def _optimizer(run: Run) -> str:
    optimizer = run.spec.optimizer
    smoothing = run.spec.label_smoothing
    numbers = {k: v for k, v in optimizer.algorithm.items() if not isinstance(v, bool | str)}
    own = "".join(f", {key.replace('_', ' ')} {typed(value)}" for key, value in numbers.items())
    return (
        f"{optimizer.name}{own}, weight decay {typed(optimizer.weight_decay)}, warm-up "
        f"{typed(optimizer.warmup)}, {_scaling(optimizer.batch_exponent)}"
        + (f", label smoothing {smoothing:g}" if smoothing else "")
    )


def _scaling(exponent: float) -> str:
    """Say how the learning rate follows from the images of a step."""
    if exponent == 0:
        return "one rate for all batch sizes"
    power = "" if exponent == 1 else f" to the power of {exponent:g}"
    return f"rate × images of a step / 128{power}"


def _augmentation(run: Run) -> str:
    flip = "flip" if run.spec.data.flip else "no flip"
    contrast = run.spec.contrast.name
    words = "no contrast augmentation" if contrast == "none" else f"contrast {contrast}"
    return f"crop {run.spec.data.crop}, {flip}, {words}"


def _machine(run: Run) -> str:
    environment = run.result.environment if run.result else None
    return environment_words(environment) if environment else ""


def environment_words(environment: Environment) -> str:
    """Return what of an environment can change results beyond rounding."""
    return f"{environment.precision} on {environment.device}, kernels {environment.kernels}"


def _rates(runs: Sequence[Run], tuned: Sequence[Tuned]) -> str:
    """Return the learning rates and the rule that they were chosen by."""
    norms = list(dict.fromkeys(run.spec.norm.name for run in runs))
    by_norm: Mapping[str, dict[str, None]] = {norm: {} for norm in norms}
    for run in runs:
        by_norm[run.spec.norm.name][typed(run.spec.optimizer.lr)] = None
    each = ", ".join(f"{norm} {' and '.join(rates)}" for norm, rates in by_norm.items())
    if is_tuned(runs, tuned):
        return f"tuned for each norm at each batch size by validation accuracy: {each}"
    if has_same_rates(runs):
        (rates, *_) = by_norm.values()
        grid = f"the same {len(rates)} rates" if len(rates) > 1 else "one learning rate"
        return f"{' and '.join(rates)}. Warning: {WARNING.replace('one learning rate', grid)}"
    return each


def is_tuned(runs: Iterable[Run], tuned: Iterable[Tuned]) -> bool:
    """Whether every run has the learning rate that was chosen for it."""
    chosen = {(cell.key, cell.lr) for cell in tuned}
    one_each = {run.spec.cell_name: run.spec for run in runs}.values()
    return bool(chosen) and all((key_of(spec), spec.optimizer.lr) in chosen for spec in one_each)


def has_same_rates(runs: Iterable[Run]) -> bool:
    """Whether there are several norms, all with the same learning rates."""
    by_norm: dict[str, set[float]] = {}
    for run in runs:
        by_norm.setdefault(run.spec.norm.name, set()).add(run.spec.optimizer.lr)
    return len(by_norm) > 1 and len(set(map(frozenset, by_norm.values()))) == 1


def _seeds(runs: Iterable[Run]) -> str:
    """Return the seeds in words, such as `0 to 7`."""
    seeds = sorted({run.seed for run in runs})
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _design(runs: Sequence[Run]) -> str:
    if design_of(runs) is Design.SEQUENTIAL:
        return "added after a look (sequential design)"
    return "planned"


def unfair_none(runs: Iterable[Run]) -> str:
    """Say where `none` stands for a residual network without a norm; empty where it does not."""
    norms: dict[str, set[str]] = {}
    for run in runs:
        if run.spec.model.name.startswith(RESIDUAL):
            norms.setdefault(run.spec.model.name, set()).add(run.spec.norm.name)
    weak = [model for model, own in norms.items() if "none" in own and not own & {*FAIR_NONE}]
    if not weak:
        return ""
    return (
        f"norm=none is a weak opponent in a residual network ({', '.join(weak)}), whose first "
        f"weights are made for a norm: norm={FAIR_NONE[0]} is the fair one without."
    )


def mixed_cells(runs: Iterable[Run]) -> Iterator[str]:
    """Yield the cells whose runs differ in precision, device or kernels, with what they had."""
    found: dict[str, dict[str, int]] = {}
    for run in runs:
        if run.result is not None:
            own = found.setdefault(run.spec.cell_name, {})
            words = environment_words(run.result.environment)
            own[words] = own.get(words, 0) + 1
    for cell, environments in found.items():
        if len(environments) > 1:
            counted = " and ".join(f"{n} of {words}" for words, n in environments.items())
            yield f"{cell} pools runs {counted}"
