"""The explorer as one HTML file, which asks for nothing and runs no script but its own."""

import base64
import hashlib
import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from normexp.analysis import render
from normexp.runs.plain import Plain

TEMPLATES = Path(render.__file__).with_name("templates")


def explorer_page(data: Plain, title: str, origin: str) -> str:
    """Return the page; a content policy lets the script by its digest, and forbids requests."""
    script = (TEMPLATES / "explore.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    # Nothing in a value may end the element that holds it.
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return environment.get_template("explore.html.j2").render(
        title=title,
        origin=origin,
        level=f"{100 * data['level']:g} %",
        margin=f"{data['margin']:g}",
        data=text.replace("<", "\\u003c"),
        script=script,
        digest=digest,
    )
