"""Values of the command line in which Hydra's grammar sees something else than is meant."""

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from normexp.errors import UserError
from normexp.kinds import typed
from normexp.settings import OUTPUTS, PARTS, RUN, keys_of

FILES = ("data.root", "runtime.outputs", "runtime.cache_dir", "run")
"""Settings whose values are names of files or folders."""
OPTIONAL_GROUPS = ("scale", "experiment")


def quoted(arguments: Sequence[str]) -> list[str]:
    """Return a command line with quotes around text that Hydra could not read, or not as text.

    So a folder may be called `my data (1)`, `données`, `a,b` or `2024`. With -m, commas
    divide the values of a sweep.
    """
    is_sweep = not {"-m", "--multirun"}.isdisjoint(arguments)
    return [_quoted(argument, is_sweep) for argument in arguments]


def _quoted(argument: str, is_sweep: bool) -> str:
    key, sign, value = argument.partition("=")
    if not sign or key.lstrip("+") not in FILES or value == "":
        return argument
    try:
        override = OverridesParser.create().parse_override(argument)
    except HydraException:
        pass
    else:
        value_of = override.value()
        is_text = value_of is None or isinstance(value_of, str | QuotedString)
        is_list = key == OUTPUTS.key and isinstance(value_of, list)
        if is_text or is_list or (is_sweep and override.is_sweep_override()):
            return argument
    return f"{key}={QuotedString(value, Quote.single).with_quotes()}"


def is_of_network(argument: str, own: Sequence[str]) -> bool:
    """Whether `argument` is a setting of `normexp train`, and none of a command's `own`."""
    key = argument.partition("=")[0].lstrip("+~")
    word, dot, _ = key.partition(".")
    is_own = key in own or (bool(dot) and word in {each.partition(".")[0] for each in own})
    return word in keys_of(RUN) and not is_own


def refuse_lists(arguments: Sequence[str]) -> None:
    """Raise UserError where a list is given for a group, of which Hydra would merge all files.

    Nor are there several folders that a training writes to.
    """
    for argument in arguments:
        if argument.startswith(f"{OUTPUTS.key}=["):
            raise UserError(f"{argument}: a training has one folder; only what reads has several")
        group, _, value = argument.partition("=")
        group = group.lstrip("+").partition("@")[0]
        if group not in (*PARTS, *OPTIONAL_GROUPS) or "[" not in value:
            continue
        try:
            override = OverridesParser.create().parse_override(argument)
        except HydraException:  # Hydra says what cannot be read
            continue
        choices = (
            [*override.sweep_iterator()] if override.is_sweep_override() else [override.value()]
        )
        lists = [each for each in choices if isinstance(each, list)]
        if not lists or (group in OPTIONAL_GROUPS and max(map(len, lists)) < 2):
            continue
        each = ",".join(typed(choice).strip("[]") for choice in choices)
        meant = f"for a run of each: normexp train -m {group}={each}"
        if group == "experiment":  # each has a grid of its own
            meant = f"type a command for each: normexp train -m {group}={each.split(',')[0]}"
        raise UserError(f"{argument}: a run has one {group}; {meant}")
