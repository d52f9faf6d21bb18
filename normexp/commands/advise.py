"""`normexp advise`: the norm to use, according to the runs at hand. No torch."""

from __future__ import annotations

import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from normexp import build
from normexp.errors import UserError, suggestion

FILE = Path(build.conf_dir(), "advise.yaml")


def main() -> None:
    """Print what the runs advise, and what they do not show."""
    if set(sys.argv[1:]) & {"-h", "--help"}:
        print(FILE.read_text(encoding="utf-8").strip())
        return
    cfg = settings(sys.argv[1:])

    from normexp.analysis.advice import advice
    from normexp.analysis.rows import rows

    found = rows(Path(cfg.runtime.outputs).expanduser())
    print("\n".join(advice(found, cfg.batch_size, cfg.contrast, cfg.margin)))


def settings(arguments: list[str]) -> DictConfig:
    """Return the file's settings with those that were typed.

    Not composed by Hydra, to which contrast=varies would be a file in conf/contrast/. Raises
    UserError with the value and what is allowed.
    """
    cfg = OmegaConf.load(FILE)
    assert isinstance(cfg, DictConfig)
    known = [*(key for key in cfg if key != "runtime"), "runtime.outputs"]
    for argument in arguments:
        key, is_setting, _ = argument.partition("=")
        if not is_setting:
            raise UserError(f"'{argument}' is not of the form key=value, such as batch_size=4")
        if key not in known:
            raise UserError(f"there is no setting '{key}'; {suggestion(key, map(str, known))}")
    cfg.merge_with_dotlist(arguments)
    if type(cfg.batch_size) is not int or cfg.batch_size < 1:
        raise UserError(f"batch_size={cfg.batch_size}: a whole number of 1 or more is needed")
    if cfg.contrast not in ("steady", "varies"):
        raise UserError(f"contrast={cfg.contrast}: steady or varies is needed")
    is_number = isinstance(cfg.margin, int | float) and not isinstance(cfg.margin, bool)
    if not is_number or cfg.margin < 0:
        raise UserError(f"margin={cfg.margin}: a number of 0 or more is needed")
    return cfg
