"""The command table. Standard library only, so that `normexp --help` answers at once."""

import importlib
import os
import sys

from normexp import __version__, settings
from normexp.commands.mistyped import at_home, refuse_mistyped, spelled
from normexp.errors import Stopped, one_line, show, suggestion
from normexp.home import ensure_home
from normexp.screen import is_whole, outlive_screen, outlive_terminal, spell_out

COMMANDS = {
    "train": "train one run, or with -m a grid of runs; typed again, it resumes",
    "tune": "choose a learning rate for each norm and batch size: norm=batch",
    "evaluate": "measure trained networks under other contrasts, statistics: run=",
    "recalibrate": "re-estimate running statistics: run=, or model.weights=",
    "probe": "measure what a norm layer does to its input, in seconds: norm=all",
    "claims": "judge nineteen claims about norms by the runs at hand",
    "report": "write a page with the answer of a study: study=quickstart",
    "explore": "open a page on which you choose what is drawn: study=reference",
    "verify": "train runs that normexp ships again, and compare: rows=3",
    "tensorboard": "show curves, cells, figures and factors of all runs in a browser",
    "advise": "name the norm to use, by the runs at hand: batch_size=4",
    "runs": "list the runs in outputs/: their accuracy and state",
    "help": "explain a setting or a choice: optimizer.lr, norm, norm=both",
    "completion": "print the tab completion of a shell: bash, zsh or fish",
}

CHILD = "child"  # what a sweep starts, not a person
COMPLETE = "complete"  # what the Tab key starts
LASTING = ("train", "tune", "evaluate", "claims", "verify")
"""Those that go on where their terminal is closed."""
MEANT = {"prove": "probe", "list": "runs", "ls": "runs", "show": "runs", "run": "train"}
"""Words that others have for a command, or that it had."""

HELP = """\
normexp: batch norm or instance norm, when, why, and can they be combined?

usage: normexp <command> key=value ...

commands:
{commands}

examples:
  normexp train norm=instance batch_size=4
  normexp train -m norm=batch,instance,both,none batch_size=4,32 seed=0,1,2
  normexp train --help          every setting: type, choices, default
  normexp help optimizer.lr     one of them
  normexp train --cfg job       the settings that a command line makes

version {version}"""


def main() -> None:
    """Run the command that `sys.argv` names; a user's mistake ends in one line and exit code 1."""
    spell_out()
    outlive_screen()
    if sys.argv[1:] and sys.argv[1] in LASTING:
        outlive_terminal()
    code = run(sys.argv[1:])
    if not is_whole(sys.stdout):
        print("normexp: the output is not whole: its disk has no space left", file=sys.stderr)
        code = code or 1
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Return the exit code of `normexp <arguments>`."""
    word = arguments[0] if arguments else "--help"
    # normexp help train, or help alone
    if word == "help" and {*arguments[1:2]} <= {*COMMANDS, "-h", "--help"}:
        return run([*arguments[1:2], "--help"])
    if word == COMPLETE:
        completion = importlib.import_module("normexp.commands.completion")
        print("\n".join(completion.candidates(" ".join(arguments[1:]), COMMANDS)))
        return 0
    if word not in (*COMMANDS, CHILD):
        return answer(word)
    try:
        if word in settings.COMMANDS and {"-h", "--help"} & {*arguments}:
            importlib.import_module("normexp.commands.help").show_command(word, arguments[1:])
            return 0
        typed = spelled(word, arguments[1:])
        refuse_mistyped(word, typed)
        prepare(word, typed)
        command = importlib.import_module(f"normexp.commands.{word}")
        return int(command.main() or 0)
    except Stopped as stopped:
        print(f"normexp: {stopped}; the same command goes on from there", file=sys.stderr)
        return 128 + stopped.signal_number
    except KeyboardInterrupt:
        print(
            "normexp: stopped; the same command goes on from the last checkpoint", file=sys.stderr
        )
        return 130
    except Exception as error:
        show(error, one_line(error))
        return 1


def answer(word: str) -> int:
    """Print the help, the version, or what may be meant by a word that is no command."""
    if word in ("-h", "--help"):
        table = "\n".join(f"  {name:<11} {what}" for name, what in COMMANDS.items())
        print(HELP.format(commands=table, version=__version__))
    elif word == "--version":
        print(__version__)
    else:
        hint = f"it is 'normexp {MEANT[word]}'" if word in MEANT else suggestion(word, COMMANDS)
        print(f"normexp: no command '{word}'; {hint}", file=sys.stderr)
        return 2
    return 0


def prepare(word: str, arguments: list[str]) -> None:
    """Set up this process as Hydra expects it for the command `word`."""
    ensure_home()
    # Hydra then raises instead of printing, and one place decides what an error looks like.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Hydra takes flags before or after the overrides, not between them.
    flags_first = sorted(arguments, key=is_override)
    sys.argv = [f"normexp {word}", *map(at_home, flags_first)]


def is_override(argument: str) -> bool:
    """Whether `argument` is a setting, `key=value` or `~key`, and not a flag or a flag's value."""
    return argument.startswith("~") or ("=" in argument and not argument.startswith("-"))
