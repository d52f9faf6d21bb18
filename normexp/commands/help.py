"""`normexp help <what>` and `normexp <command> --help`. Standard library only, to answer at once.

Types, ranges and words are those of `settings.py`, defaults and the settings of a part of its own
those of the files in `conf/`.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import fill

from normexp.commands.columns import (
    WIDTH,
    about,
    entry,
    first_sentence,
    own_entries,
    table,
    words,
)
from normexp.errors import UserError, suggestion
from normexp.settings import ASKED, COMMANDS, PARTS, RUN, RUNTIME
from normexp.shipped import (
    GROUPS,
    choices,
    conf_dir,
    defaults,
    own_folders,
    own_words,
    prefix,
    prefixed,
    shipped,
)

OF_GROUPS = {
    "data": "images",
    "model": "network",
    "norm": "norm layer, and where it stands",
    "contrast": "contrast augmentation, drawn for each training image",
    "optimizer": "optimizer and learning rate",
    "experiment": "study: a grid of runs with its settings",
    "scale": "sizes of the studies of conf/experiment",
    "hydra/launcher": "with -m, what carries out the runs: this machine or a cluster",
}
MAKERS = {
    "data": "the data source",
    "model": "the network",
    "norm": "the norm",
    "contrast": "the augmentation",
    "optimizer": "the optimizer",
    "hydra/launcher": "the launcher",
}
"""What takes the settings that are a part's own."""
FLAGS = {
    "--cfg job": "show the settings that a command line makes, and train nothing",
    "-m, --multirun": "a grid: a run for each combination of values, such as seed=0,1,2",
    "--config-dir FOLDER": "a folder of your own beside conf/, with norm/mine.yaml say",
}


def main() -> None:
    """Print the help on what the arguments name."""
    print("\n\n".join(map(on, sys.argv[1:])))


def show_command(command: str, typed: Sequence[str]) -> None:
    """Print every setting of a command, with the defaults of the choices that are `typed`."""
    print(of_command(command, typed))


def on(what: str) -> str:
    """Return the help on a group, a choice or a setting; raises UserError."""
    group, _, choice = what.partition("=")
    if group in GROUPS:
        return of_choice(group, choice) if choice else of_group(group)
    if found := list(of_setting(group)):
        return "\n\n".join(found)
    keys = every_key()
    ends = [key for key in keys if key.endswith(f".{group}")]
    if len(ends) == 1:
        return on(ends[0])
    if named := [f"{each}={group}" for each in GROUPS if group in choices(each)]:
        lines = " or ".join(f"normexp help {each}" for each in named)
        more = [key for key in keys if key.startswith(f"{group}_")]
        also = f"; there is also {', '.join(more)}" if more else ""
        raise UserError(f"'{group}' is a choice, {' or '.join(named)}: {lines}{also}")
    hint = f"did you mean {', '.join(ends)}?" if ends else suggestion(group, [*keys, *GROUPS])
    raise UserError(f"there is no setting '{group}'; {hint if len(hint) < 400 else 'see --help'}")


def every_key() -> list[str]:
    """Return every setting of every command, and those of the parts."""
    table = [setting.key for settings in COMMANDS.values() for setting in settings]
    parts = [key for g in GROUPS for f in choices(g).values() for key in own_words(g, shipped(f))]
    return list(dict.fromkeys([*table, *parts]))


def of_command(command: str, typed: Sequence[str] = ()) -> str:
    """Return every setting of a command, with the default of the choices that are `typed`."""
    top = shipped(conf_dir() / f"{command}.yaml")
    flag = " [-m]" * (command == "train")
    lines = [f"usage: normexp {command}{flag} key=value ...", "", *about(top)]
    if command != "train":
        values = defaults(top)
        lines += ["", *(entry(s.key, values.get(s.key), words(s)) for s in COMMANDS[command])]
        return "\n".join(lines)
    own = own_folders(typed)
    chosen = top.defaults | dict(e.split("=", 1) for e in typed if re.match(r"[\w/]+=\w+$", e))
    values = defaults(top)
    lines += ["", "Training", *table([s for s in RUN if "." not in s.key], values)]
    for group in PARTS:
        lines += ["", *of_part(group, chosen[group], values, own)]
    lines += ["", "Studies and grids"]
    lines += [entry(g, chosen.get(g, "null"), group_words(g, own)) for g in GROUPS[len(PARTS) :]]
    lines += table(ASKED, values)
    lines += ["", "Where and how a run is carried out, which does not change its result"]
    return "\n".join(
        [
            *lines,
            *table(RUNTIME, values),
            "",
            "Flags",
            *(entry(k, None, v) for k, v in FLAGS.items()),
        ]
    )


def of_part(group: str, choice: str, values: dict[str, str], own: Sequence[Path]) -> Iterator[str]:
    """Yield a group's choices and settings, with the values of one `choice`."""
    files = choices(group, own)
    if choice not in files:
        raise UserError(f"{group}={choice}: there is no such choice; {suggestion(choice, files)}")
    yield f"{OF_GROUPS[group].capitalize()} (normexp help {group})"
    yield entry(group, choice, ", ".join(files))
    given = values | prefixed(group, shipped(files[choice]))
    known = [setting for setting in RUN if setting.key.startswith(f"{group}.")]
    yield from table(known, given, files)
    yield from own_entries(group, shipped(files[choice]))


def of_group(group: str) -> str:
    """Return the choices of a group, a line each."""
    lines = [fill(f"{group}=<choice>: {OF_GROUPS[group]}", WIDTH), ""]
    lines += [entry(name, None, first_sentence(shipped(f))) for name, f in choices(group).items()]
    return "\n".join([*lines, "", f"normexp help {group}=<choice> tells more of one"])


def of_choice(group: str, choice: str) -> str:
    """Return what a file says of itself, and its settings."""
    files = choices(group)
    if choice not in files:
        raise UserError(f"{group}={choice}: there is no such choice; {suggestion(choice, files)}")
    of = shipped(files[choice])
    known = {setting.key: setting for setting in RUN}
    given = prefixed(group, of) if group in PARTS else {}
    tables = table([known[key] for key in given if key in known and key != f"{group}.name"], given)
    lines = [f"{group}={choice}", "", *about(of), "", *tables, *own_entries(group, of)]
    return "\n".join(lines).strip()


def of_setting(key: str) -> Iterator[str]:
    """Yield what each command, or each part, says of a setting."""
    seen = set()
    for command, settings in COMMANDS.items():
        for setting in settings:
            top = defaults(shipped(conf_dir() / f"{command}.yaml"))
            if setting.key == key and (setting, top.get(key)) not in seen:
                seen.add((setting, top.get(key)))
                yield page(key, setting.words, setting.kind.words, [command], top.get(key))
    for group in GROUPS:
        own = [own_words(group, shipped(file)) for file in choices(group).values()]
        texts = dict.fromkeys(each[key] for each in own if key in each)
        if texts and not seen:
            given = [prefixed(group, shipped(file)).get(key) for file in choices(group).values()]
            yield page(key, "; ".join(texts), kind_of(group, given), ["train"], None)


def kind_of(group: str, values: Iterable[str | None]) -> str:
    """Return the type of a setting that a part has for itself, by the values that files give."""
    given = next((value for value in values if value not in (None, "null")), "null")
    kinds = {
        r"true|false": "true or false",
        r"\[.*\]": "a list",
        r"[+-]?[\d.]+(e[+-]?\d+)?": "a number",
        r"null": "a value",
    }
    kind = next((k for pattern, k in kinds.items() if re.fullmatch(pattern, given)), "a word")
    return f"{kind}; {MAKERS[group]} checks it as it is made"


def page(key: str, text: str, kind: str, commands: Sequence[str], value: str | None) -> str:
    """Return a setting's words, its type and range, and its default, by choice where it has one."""
    group = next((g for g in GROUPS if key.startswith(f"{prefix(g)}.")), "")
    given = [value] if value is not None else []
    if group and value is None:
        by_value: dict[str, list[str]] = {}
        for name, file in choices(group).items():
            if (found := prefixed(group, shipped(file)).get(key)) is not None:
                by_value.setdefault(found, []).append(name)
        given = [f"{v} with {group}={','.join(names)}" for v, names in by_value.items()]
    rows = {"type": kind, "default": "; ".join(given), "of": f"normexp {', '.join(commands)}"}
    found_rows = [f"{name:<9}{text}" for name, text in rows.items() if text]
    lines = [fill(row, WIDTH, subsequent_indent=" " * 9) for row in found_rows]
    return "\n".join(
        [key, fill(text, WIDTH - 2, initial_indent="  ", subsequent_indent="  "), *lines]
    )


def group_words(group: str, own: Sequence[Path]) -> str:
    """Return what a group is, and its choices."""
    names = [name for name in choices(group, own) if not name.endswith("_full")]
    return f"{OF_GROUPS[group]}: {', '.join(names)}"
