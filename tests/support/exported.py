"""Read an export: the links and files that its pages name, also in bodies that are data."""

import json
import re
import zlib
from base64 import b64decode
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from src.browser.export import export
from src.browser.export_plan import Export
from src.browser.opened import open_runs
from src.browser.site import Site
from src.browser.views import NAVIGATION
from src.io.outputs import Outputs

REFERENCES = {"href", "src", "srcset", "action", "formaction", "data", "poster", "content", "style"}
CHUNK = re.compile(r'received\("([\w-]+)", (\d+), (.*)\)\n', re.DOTALL)


class References(HTMLParser):
    """Collects what a page names: (tag, attribute, value)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found = list[tuple[str, str, str]]()
        self.tags = list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the attributes of a tag."""
        self.tags.append(tag)
        for name, value in attrs:
            if name in REFERENCES or name.startswith("on"):
                self.found.append((tag, name, value or ""))


def export_runs(runs: Sequence[Path], folder: Path) -> Path:
    """Export runs below folder; return where the pages are."""
    site = Site(open_runs(runs), Outputs(folder / "outputs"), NAVIGATION)
    export(site, Export(folder / "site"))
    return folder / "site"


def chunk_value(path: Path) -> Any:
    """Return what a chunk of data hands to its page, bodies unpacked; fail unless it is named."""
    match = CHUNK.fullmatch(path.read_text())
    assert match is not None, path
    assert (match[1], int(match[2])) == (path.parent.name, int(path.stem))
    value = json.loads(match[3])
    return json.loads(zlib.decompress(b64decode(value))) if shell_of(path) else value


def shell_of(path: Path) -> Path | None:
    """Return the page whose bodies are in a chunk, None for other data."""
    shell = path.parents[2] / f"{path.parent.name}.html"
    return shell if shell.exists() and "data-bodies" in shell.read_text() else None


def pages(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the pages of an export with their HTML, bodies that are data included."""
    for path in sorted(folder.rglob("*.html")):
        yield path, path.read_text()
    for path in sorted(folder.glob("*/data/*/*.js")):
        if shell := shell_of(path):
            for body in chunk_value(path).values():
                yield shell, body
