"""No link of the README and the pages leads nowhere: files, pictures and headings. No network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)|src(?:set)?=\"([^\"]+)\"")
NAMED = re.compile(r"`(docs/[\w/]+\.\w+)`")
"""A page that is named and is no link."""


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(
        r"^#+ (.*)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE
    )
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def dead(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    found = []
    for link in [a or b for a, b in LINK.findall(text)]:
        path, _, anchor = link.partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        to = page.parent / path if path else page
        if not to.exists() or (anchor and anchor not in anchors(to)):
            found.append(link)
    return found + [path for path in NAMED.findall(text) if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert dead(page) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A heading, here\n")
    page = tmp_path / "page.md"
    page.write_text(
        '[a](there.md#a-heading-here) [b](there.md#none) [c](gone.md) <img src="gone.svg">\n'
        "`docs/gone.md` https://example.org/ [d](https://example.org/gone) [e](#none)\n"
    )
    assert dead(page) == ["there.md#none", "gone.md", "gone.svg", "#none", "docs/gone.md"]
