"""`normexp completion <shell>` prints what completes the Tab key; `complete` is what it calls.

The candidates come from `settings.py` and the files of `conf/`. Standard library only: a shell
waits for them.
"""

import sys
from collections.abc import Iterable, Sequence

from normexp.commands.help import every_key
from normexp.errors import UserError
from normexp.kinds import Choice, Flag
from normexp.settings import COMMANDS, PARTS, Setting
from normexp.shipped import GROUPS, choices, own_folders, own_words, shipped

SCRIPTS = {
    "bash": """\
# normexp: eval "$(normexp completion bash)" in ~/.bashrc
_normexp() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\\n'
    local word=${line##* }
    COMPREPLY=($(normexp complete "$line" 2>/dev/null))
    # bash breaks words at '=': what stands before it is on the line already.
    [[ $word == *=* && $COMP_WORDBREAKS == *=* ]] &&
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}")
    # A key is not complete without its value.
    [[ ${#COMPREPLY[@]} -gt 0 && ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace
    return 0
}
complete -o default -F _normexp normexp""",
    "zsh": """\
# normexp: eval "$(normexp completion zsh)" in ~/.zshrc, behind compinit
_normexp() {
    local -a found
    found=(${(f)"$(normexp complete "${LBUFFER}" 2>/dev/null)"})
    (( $#found )) || { _files; return }
    compset -P '*=' && found=(${found#*=})
    compadd -Q -S '' -- ${(M)found:#*[=.]}
    compadd -Q -- ${found:#*[=.]}
}
compdef _normexp normexp""",
    "fish": """\
# normexp: normexp completion fish > ~/.config/fish/completions/normexp.fish
complete -c normexp -f -a '(normexp complete (commandline -cp) 2>/dev/null)'""",
}
HELP = """\
usage: normexp completion bash|zsh|fish

Prints the script that completes commands, settings and choices with the Tab
key. For good:
  bash   echo 'eval "$(normexp completion bash)"' >> ~/.bashrc
  zsh    echo 'eval "$(normexp completion zsh)"' >> ~/.zshrc
  fish   normexp completion fish > ~/.config/fish/completions/normexp.fish"""
OF_RUNS = ("clean=", "columns=", "format=", "outputs=", "sort=", "state=", "yes=")
FIXED = {
    "clean": ("failed", "unfinished", "diverged"),
    "format": ("csv", "json"),
    "state": ("finished", "diverged", "failed", "unfinished"),
}
"""What `normexp runs` has beside the settings of the runs."""


def main() -> None:
    """Print the script of the shell that is named."""
    shells = sys.argv[1:]
    if len(shells) != 1 or shells[0] in ("-h", "--help"):
        print(HELP)
    elif shells[0] in SCRIPTS:
        print(SCRIPTS[shells[0]])
    else:
        raise UserError(f"completion {shells[0]}: there are {', '.join(SCRIPTS)}")


def candidates(line: str, commands: Iterable[str]) -> list[str]:
    """Return what may stand in the place of the last word of a command `line`, sorted."""
    words = line.split(" ")
    typed, last = [word for word in words[1:-1] if word], words[-1]
    if not typed:
        found = [*commands]
    elif typed[0] == "completion":
        found = [*SCRIPTS]
    elif typed[0] == "help" and "=" not in last:
        found = [*commands, *every_key(), *GROUPS]
    else:
        command = "train" if typed[0] in ("tune", "runs", "help") else typed[0]
        settings = COMMANDS.get(command, ())
        found = values(last, settings, typed) if "=" in last else keys(last, settings, typed)
    return sorted({each for each in found if each.startswith(last)})


def keys(last: str, settings: Sequence[Setting], typed: Sequence[str]) -> list[str]:
    """Return the keys of a command, up to the dot behind what is typed; `name=` has its `=`."""
    table = [setting.key for setting in settings]
    if settings == COMMANDS["train"]:
        table += GROUPS
        for group in PARTS if "." in last else ():
            table += [k for f in choices(group).values() for k in own_words(group, shipped(f))]
    whole = [f"{key}=" for key in table] + [*OF_RUNS] * (typed[0] == "runs")
    depth = last.count(".")
    cut = [".".join(key.split(".")[: depth + 1]) for key in whole]
    return [each if each.endswith("=") else f"{each}." for each in cut]


def values(last: str, settings: Sequence[Setting], typed: Sequence[str]) -> list[str]:
    """Return `key=value` for the values that a key may have; several are typed with commas."""
    key, _, value = last.partition("=")
    before, comma, _ = value.rpartition(",")
    kinds = [setting.kind for setting in settings if setting.key == key]
    options: Sequence[str] = FIXED.get(key, ()) if typed[0] == "runs" else ()
    if key in GROUPS:
        options = [*choices(key, own_folders(typed))]
    elif kinds and isinstance(kinds[0], Choice):
        options = kinds[0].options
    elif kinds and isinstance(kinds[0], Flag):
        options = ("true", "false")
    return [f"{key}={before}{comma}{option}" for option in options]
