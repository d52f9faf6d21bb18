"""docs/results/screen.svg: what a terminal of 80 columns shows while the quickstart runs, and then.

usage: scripts/picture [folder]     in which it runs, an empty one; needs tmux

The command is typed into a shell in tmux, whose screen is read midway and at the end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from html import escape
from pathlib import Path

from normexp.analysis.render.colours import INK, INK_ON_DARK

COMMAND = "normexp train -m experiment=quickstart"
COLUMNS, ROWS = 80, 40
CELL, LINE, PAD = 7.8, 18, 14  # pixels, at letters of 13
MIDWAY = re.compile(r"^[345] of .*\n.*images/s", re.MULTILINE)
"""When the screen is read in the middle: with some runs done, and others that have a speed."""
OUT = Path(__file__).parents[1] / "docs/results"
PAGES = {"screen.svg": (INK, "#f6f8fa"), "screen_dark.svg": (INK_ON_DARK, "#161b22")}


def tmux(*words: str) -> str:
    socket = f"picture-{os.getpid()}"
    return subprocess.run(
        ["tmux", "-L", socket, *words], check=True, capture_output=True, text=True
    ).stdout


def captured(folder: Path) -> list[str]:
    """Run the command in `folder`; return the lines of the screen midway, `…`, and of its end."""
    size = ["-x", str(COLUMNS), "-y", str(ROWS), "-c", str(folder)]
    tmux("new-session", "-d", *size, "env PS1='$ ' ENV= sh")
    tmux("send-keys", f"clear; {COMMAND}; echo ended with $?", "Enter")
    middle: list[str] = []
    try:
        while True:
            time.sleep(1)
            screen = [line.rstrip() for line in tmux("capture-pane", "-p").rstrip().splitlines()]
            if not middle and MIDWAY.search("\n".join(screen)):
                middle = screen
            if screen[-2:-1] and screen[-2].startswith("ended with"):
                break
    finally:
        tmux("kill-server")
    if screen[-2] != "ended with 0" or not middle:
        raise SystemExit("\n".join(screen))
    table = next(i for i, line in enumerate(screen) if line.startswith("norm "))
    return [f"$ {COMMAND}", *middle, "…", *screen[table:-2]]


def drawn(lines: list[str], ink: str, page: str) -> str:
    width, height = 2 * PAD + COLUMNS * CELL, 2 * PAD + len(lines) * LINE
    texts = "\n".join(
        f'<text x="{PAD}" y="{PAD + LINE * (i + 0.75):g}" textLength="{CELL * len(line):.1f}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(line)}</text>'
        for i, line in enumerate(lines)
        if line
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}">\n'
        f"<style>text {{ font: 13px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; "
        f"fill: {ink}; white-space: pre }}</style>\n"
        f'<rect width="100%" height="100%" rx="6" fill="{page}"/>\n{texts}\n</svg>\n'
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as empty:
        lines = captured(Path(sys.argv[1] if len(sys.argv) > 1 else empty).resolve())
    print("\n".join(lines))
    for name, (ink, page) in PAGES.items():
        (OUT / name).write_text(drawn(lines, ink, page), encoding="utf-8")


main()
