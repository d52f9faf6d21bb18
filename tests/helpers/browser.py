"""A page in a real browser, served from a folder of this machine."""

from __future__ import annotations

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--virtual-time-budget=5000", "--window-size=1800,1000"),
)


@dataclass(frozen=True)
class Seen:
    """What a page said of itself."""

    answer: Any  # of its <pre>, which holds JSON
    console: list[str]
    foreign: list[str]  # addresses that were asked for, other than the folder's
    asked: list[str]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        pass


def seen(folder: Path, probe: str, scratch: Path) -> Seen:
    """Open a page of this text, beside the files of `folder`, and return what it found."""
    assert CHROMIUM is not None
    (folder / "probe.html").write_text(probe, encoding="utf-8")
    handler, log = functools.partial(Quiet, directory=str(folder)), scratch / "net.json"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={scratch}", f"--log-net-log={log}"]
        done = subprocess.run(
            [*command, "--dump-dom", f"{address}/probe.html"],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        server.shutdown()
    (answer,) = re.findall(r"<pre>(.*?)</pre>", done.stdout, flags=re.DOTALL)
    urls = re.findall(
        r'"initiator":"(?:http[^"]*)".*?"url":"([^"]*)"', log.read_text(encoding="utf-8")
    )
    return Seen(
        json.loads(html.unescape(answer)),
        [line for line in done.stderr.splitlines() if "CONSOLE" in line],
        [url for url in urls if not url.startswith((address, "data:"))],
        urls,
    )
