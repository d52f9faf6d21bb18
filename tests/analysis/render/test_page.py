"""The page in a real browser: two widths, no error, no request, nothing on top of another."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from helpers.browser import CHROMIUM, seen
from helpers.made import make_study
from helpers.rows import runs

from normexp.analysis.report.report import Choices, Heading, write_report

WIDTHS = (360, 1400)
PROBE = """<!doctype html><title>probe</title>
<iframe width=360 height=800 src="index.html"></iframe>
<iframe width=1400 height=800 src="index.html"></iframe>
<pre></pre>
<script>
const probe = (frame) => {
  const page = frame.contentDocument, root = page.documentElement, on_top = [];
  const folded = root.scrollHeight;
  page.querySelectorAll("details").forEach(each => each.open = true);
  let least = 99;
  for (const svg of page.querySelectorAll("svg")) {
    const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent.trim());
    const boxes = texts.map(t => t.getBoundingClientRect());
    boxes.forEach(box => least = Math.min(least, box.height));
    boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1.5 && high > 0.3 * Math.min(a.height, b.height))
        on_top.push(texts[i].textContent + " / " + texts[i + 1 + j].textContent);
    }));
  }
  return {
    folded, overflow: root.scrollWidth - root.clientWidth,
    figures: [...page.querySelectorAll("figure svg")].filter(s => s.clientWidth > 300).length,
    headings: page.querySelectorAll("h1").length,
    scrolling: [...page.querySelectorAll("main *")].filter(e =>
      e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX == "auto"
      && e.tabIndex != 0).length,
    text: least, on_top,
  };
};
onload = () => document.querySelector("pre").textContent =
  JSON.stringify([...document.querySelectorAll("iframe")].map(probe));
</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("outputs")
    norms = ["batch", "both", "group", "instance", "none"]
    make_study(
        outputs,
        norms,
        [4, 16, 64, 256],
        3,
        lambda norm, batch_size, seed: round(
            0.7 - 0.05 * norms.index(norm) + 0.0004 * batch_size + 0.013 * ((7 * seed) % 3), 4
        ),
    )
    choices = Choices(["norm", "batch_size"], None, 0.5, 0.95)
    return write_report(
        runs(outputs), choices, Heading("Study", "Why?", "Made"), outputs / "report"
    )


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
def test_in_a_browser_the_page_is_whole_at_both_widths(page: Path, tmp_path: Path) -> None:
    found = seen(page.parent, PROBE, tmp_path)
    assert found.console == []
    for width, at in zip(WIDTHS, found.answer, strict=True):
        assert at["overflow"] <= 0, width
        assert width < 1400 or at["folded"] <= 4 * 800  # four screens
        assert at["figures"] == page.read_text(encoding="utf-8").count("<figure>") == 5
        assert (at["headings"], at["scrolling"]) == (1, 0)
        assert at["text"] >= 9, width
        assert at["on_top"] == [], width
    assert any(url.endswith("/index.html") for url in found.asked)
    assert found.foreign == []


class Outline(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_the_page_asks_for_nothing_and_runs_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    outline = Outline(text)
    assert outline.all("meta")[1]["content"] is not None
    assert "default-src 'none'" in str(outline.all("meta")[1]["content"])
    assert not outline.all("script")
    for _, attributes in outline.tags:
        for key in ("src", "href", "xlink:href"):
            assert str(attributes.get(key, "#")).startswith(("#", "data:")), attributes
    assert "url(http" not in text
    assert "@import" not in text


def test_the_page_is_for_a_reader_that_does_not_see_it(page: Path) -> None:
    outline = Outline(page.read_text(encoding="utf-8"))
    assert outline.all("html")[0]["lang"] == "en"
    drawings = [svg for svg in outline.all("svg") if svg.get("role") == "img"]
    assert len(drawings) == len(outline.all("figure")) == 5
    assert all(len(str(svg["aria-label"])) > 30 for svg in drawings)
    assert {th.get("scope") for th in outline.all("th")} == {"col", "row"}
    assert len(outline.all("caption")) == len(outline.all("table")) >= 7
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = {str(attributes["id"]) for _, attributes in outline.tags if "id" in attributes}
    text = page.read_text(encoding="utf-8")
    assert {*re.findall(r'(?:url\(|href=")#([^")]+)', text)} <= ids


def test_what_is_folded_has_its_link_inside_so_that_following_it_opens_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    opening, *folded = text.split("<details>")
    assert "<table>" in opening
    assert "<figure>" in opening
    assert len(folded) >= 6
    linked = re.findall(r'<li><a href="#([^"]+)"', text)
    assert len(linked) == len(set(linked)) == len(folded) + 2
    for part in folded:
        title, _, content = part.partition("</summary>")
        assert title.strip().startswith("<summary><h2>")
        assert re.search(r'<div id="([^"]+)">', content)


def test_what_users_write_is_text_in_the_page(tmp_path: Path) -> None:
    make_study(tmp_path, ["batch"], [4], 1, lambda *_: 0.5)
    choices = Choices(["norm", "batch_size"], None, 0.5, 0.95)
    evil = '<script>alert("x")</script> & "quotes"'
    page = write_report(runs(tmp_path), choices, Heading(evil, evil, evil), tmp_path / "report")
    outline = Outline(page.read_text(encoding="utf-8"))
    assert not outline.all("script")
