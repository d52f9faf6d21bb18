"""The file of a claim: checked, and each of its lists made into comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from normexp.analysis.claims.claim import OUTCOMES, Claim, Comparison, Measure, Selection
from normexp.errors import UserError, suggestion

KEYS = ("claim", "prior", "how", "study", "measurement", "measures", "comparisons")
MEASUREMENT_KEYS = ("of", "batches", "seeds", "settings")
MEASURE_KEYS = ("value", "margin", "lens", "diverged", "unit")
COMPARISON_KEYS = ("first", "second", "across", "minus", "tuned", "expect")


def read_claim(name: str, settings: Any) -> Claim:
    """Read a claim's file; raises UserError with the file, the value and what is allowed."""
    try:
        _check(settings, KEYS, ("claim", "prior", "how", "measures", "comparisons"))
        _check_sources(settings)
        measures = {n: _measure(n, m) for n, m in _mapping(settings, "measures").items()}
        found = [
            comparison
            for label, block in _mapping(settings, "comparisons").items()
            for comparison in _comparisons(label, block, measures)
        ]
    except UserError as error:
        raise UserError(f"claims/{name}.yaml: {error}") from None
    return Claim(
        name=name,
        **{key: " ".join(str(settings[key]).split()) for key in ("claim", "prior", "how")},
        study=settings.get("study"),
        measurement=settings.get("measurement"),
        comparisons=tuple(_without_common_factors(found)),
    )


def _check_sources(settings: Mapping[str, Any]) -> None:
    if not settings["comparisons"]:
        raise UserError("comparisons: one or more are needed")
    if not settings.get("study") and not settings.get("measurement"):
        raise UserError("a study or a measurement is needed")
    if settings.get("measurement"):
        measurement = settings["measurement"]
        _check(measurement, MEASUREMENT_KEYS, MEASUREMENT_KEYS, "measurement.")
        for key in ("batches", "seeds"):
            if type(measurement[key]) is not int or measurement[key] < 1:
                raise UserError(
                    f"measurement.{key}={measurement[key]}: a whole number of 1 or more is needed"
                )
        _mapping(measurement, "settings")


def _comparisons(label: str, block: Any, measures: Mapping[str, Measure]) -> Iterator[Comparison]:
    """Yield one comparison for each choice from the lists in a block."""
    where = f"comparisons.{label}"
    _check(block, COMPARISON_KEYS, ("first", "second", "expect"), f"{where}.")
    expect = block["expect"] if isinstance(block["expect"], list) else [block["expect"]]
    if not expect or not set(expect) <= set(OUTCOMES):
        raise UserError(f"{where}.expect={block['expect']}: of {', '.join(OUTCOMES)}")
    second, across, minus = block["second"], _mapping(block, "across"), _mapping(block, "minus")
    constant = isinstance(second, int | float) and not isinstance(second, bool)
    firsts = list(_choices(_mapping(block, "first")))
    seconds: list[Any] = [({}, second)] if constant else list(_choices(_mapping(block, "second")))
    for (by_first, one), (by_second, other), (by, common) in product(
        firsts, seconds, _choices(across)
    ):
        if len(measures) == 1:
            common = {"measure": next(iter(measures)), **common}
        sides = [{**common, **one}, other if constant else {**common, **other}]
        for side in [*sides[: 2 - constant], {**sides[0], **minus}]:
            if side.get("measure") not in measures:
                name = side.get("measure")
                raise UserError(f"{where}: measure={name} is none of {', '.join(measures)}")
        against = {f"against {key}": value for key, value in by_second.items()}
        factors = {"comparison": label, **by_first, **against, **by}
        tuned = block.get("tuned")
        yield Comparison(factors, sides[0], sides[1], minus, tuned, measures, tuple(expect))


def _choices(selection: Selection) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield for each combination of listed values: the listed keys' choice, and the selection."""
    listed = {key: value for key, value in selection.items() if isinstance(value, list)}
    for values in product(*listed.values()):
        choice = dict(zip(listed, values, strict=True))
        yield choice, {**selection, **choice}


def _without_common_factors(found: list[Comparison]) -> Iterator[Comparison]:
    keys = dict.fromkeys(key for comparison in found for key in comparison.factors)
    varying = [key for key in keys if len({repr(c.factors.get(key)) for c in found}) > 1]
    for c in found:
        yield replace(c, factors={key: c.factors[key] for key in varying if key in c.factors})


def _measure(name: str, settings: Any) -> Measure:
    where = f"measures.{name}."
    _check(settings, MEASURE_KEYS, ("value", "margin"), where)
    for key in ("margin", "diverged"):
        value = settings.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number or (value is None and key == "diverged")):
            raise UserError(f"{where}{key}={value}: a number is needed")
    if settings["margin"] < 0:
        raise UserError(f"{where}margin={settings['margin']}: a number of 0 or more is needed")
    return Measure(name=name, **settings)


def _check(
    settings: Any, known: Sequence[str], needed: Sequence[str] = (), where: str = ""
) -> None:
    if not isinstance(settings, Mapping):
        raise UserError(f"{where.rstrip('.') or 'the file'}: keys and values are needed")
    for key in settings:
        if key not in known:
            raise UserError(f"there is no '{where}{key}'; {suggestion(str(key), known)}")
    for key in needed:
        if settings.get(key) is None:
            raise UserError(f"'{where}{key}' is not given")


def _mapping(settings: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = settings.get(key)
    value = {} if value is None else value
    if not isinstance(value, Mapping):
        raise UserError(f"{key}={value}: keys and values are needed")
    return dict(value)
