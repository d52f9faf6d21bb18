"""`normexp advise`: the norm to use, according to the runs at hand. No torch."""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import OmegaConf

from normexp import build
from normexp.analysis.advice import advice
from normexp.analysis.rows import runs
from normexp.commands.report import note
from normexp.errors import UserError, suggestion
from normexp.runs.spec import Settings
from normexp.settings import COMMANDS, checked
from normexp.tuned import tuned_cells

FILE = Path(build.conf_dir(), "advise.yaml")


def main() -> None:
    """Print what the runs advise, and what they do not show."""
    if set(sys.argv[1:]) & {"-h", "--help"}:
        print(FILE.read_text(encoding="utf-8").strip())
        return
    chosen = settings(sys.argv[1:])
    outputs = Path(chosen["runtime"]["outputs"]).expanduser()
    found = runs(outputs)
    note(outputs, found)
    keys = ("batch_size", "contrast", "margin")
    own = {key: chosen[key] for key in keys}
    print("\n".join(advice(found, **own, tuned=tuned_cells(outputs))))


def settings(arguments: list[str]) -> Settings:
    """Return the file's settings with those that were typed.

    Not composed by Hydra, to which contrast=varies would be a file in conf/contrast/. Raises
    UserError with the value and what is allowed.
    """
    cfg = OmegaConf.load(FILE)
    table = COMMANDS["advise"]
    known = [setting.key for setting in table]
    for argument in arguments:
        key, is_setting, _ = argument.partition("=")
        if not is_setting:
            raise UserError(f"'{argument}' is not of the form key=value, such as batch_size=4")
        if key not in known:
            raise UserError(f"there is no setting '{key}'; {suggestion(key, known)}")
    cfg.merge_with_dotlist(arguments)
    return checked(OmegaConf.to_object(cfg), table)  # type: ignore[arg-type]
