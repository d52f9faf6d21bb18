"""`normexp advise`: the norm to use, according to the runs at hand. No torch."""

import sys
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from normexp import build
from normexp.analysis.advice import advice
from normexp.analysis.evidence import own_or_shipped
from normexp.commands.found import tell
from normexp.commands.report import note, outputs_of
from normexp.errors import UserError, suggestion
from normexp.runs.spec import Settings
from normexp.settings import COMMANDS, checked

FILE = Path(build.conf_dir(), "advise.yaml")


def main() -> None:
    if set(sys.argv[1:]) & {"-h", "--help"}:
        print(FILE.read_text(encoding="utf-8").strip())
        return
    chosen = settings(sys.argv[1:])
    outputs = outputs_of(chosen)
    evidence = own_or_shipped(outputs, chosen["study"])
    tell(evidence.problems)
    note(outputs[0], evidence.runs)
    keys = ("batch_size", "contrast", "margin")
    own = {key: chosen[key] for key in keys}
    lines = advice(evidence.runs, **own, tuned=evidence.tuned)
    print("\n".join(filter(None, [evidence.words, *lines])))


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
        try:
            cfg.merge_with_dotlist([argument])
        except (YAMLError, OmegaConfBaseException) as error:
            raise UserError(f"'{argument}' cannot be read; write it as batch_size=4") from error
    return checked(OmegaConf.to_object(cfg), table)  # type: ignore[arg-type]
