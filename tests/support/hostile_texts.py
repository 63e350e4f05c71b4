"""Runs in which every text that others write tries to become markup, and a check that none does.

What is injected names itself evil: an element, an attribute, a script.
"""

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import yaml
from PIL import Image

from src.gallery import read_gallery
from src.reporting.run_folder import CONFIG, RunFolder

# As parts of paths, a slash begins a folder
TEXTS = [
    "<script>evil()</script>",
    "</script><script>evil()</script>",
    '"><evil evil="',
    "'><evil evil='",
    "` onerror=evil() x",
    '" onmouseover="evil()" x="',
    "<!--<evil>",
    "-->]]><evil>",
    "</title></style></textarea><evil>",
    "&lt;evil&gt;&#60;evil&#62;",
    "\u202eevil\u2028evil\u2029evil\nevil\tevil",
    "{{ 7 * 7 }}{% evil %}${evil}",
    "javascript:evil()",
    "//evil.example/\\evil",
]
LINKS = ["javascript:evil()", "//evil.example", "data:text/html,<evil>", '"><evil>', "https://a b"]
ADDRESSES = {"href", "src", "action", "formaction", "poster", "data", "xlink:href", "srcset"}
FORBIDDEN = {"iframe", "object", "embed", "base", "style"}
PER_TEXT = 2  # images


def draw_hostile(folder: Path) -> Path:
    """Draw images whose names are TEXTS into folder, one that is not UTF-8 too; return it."""
    draw = np.random.default_rng(0)
    for number in range(PER_TEXT):
        for text in [*TEXTS, os.fsdecode(b"evil\xff<evil>")]:
            path = folder / f"{text.strip('/')}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw.integers(0, 255, (30, 40, 3)).astype(np.uint8)).save(path)
    return folder


def poison_run(folder: Path) -> None:
    """Put TEXTS into the labels, the names of labels, the settings and the metrics of a run."""
    run = RunFolder(folder)
    gallery = folder / run.paths()["gallery"]
    works = read_gallery(gallery).works
    n = len(works)
    columns = {
        f"column {text}"[:200]: np.roll(TEXTS * n, place)[:n] for place, text in enumerate(TEXTS)
    }
    for place, name in enumerate(("title", "artist", "date", "assistive_text", "school")):
        columns[name] = np.roll(TEXTS * n, place)[:n]
    for name in ("page", "iiif", "url", "wikidata"):
        columns[name] = np.array((LINKS * n)[:n])
    path = gallery / "works.csv"
    works.assign(**columns).to_csv(
        path, index=False, errors="surrogateescape", lineterminator="\r\n"
    )
    backbone = {"name": "resnet18", "layer": f"layer{int(folder.name) + 1}", "weights": TEXTS[1]}
    settings = {"backbone": backbone, "data": {"labels": TEXTS[2]}, TEXTS[3]: TEXTS[4]}
    (folder / CONFIG).parent.mkdir()
    (folder / CONFIG).write_text(yaml.safe_dump(settings))
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics |= {f"{TEXTS[0]}/map_at_10": 0.5, f"{TEXTS[2]}/precision_at_1": 0.5, TEXTS[3]: TEXTS[4]}
    (folder / "metrics.json").write_text(json.dumps(metrics))


class Markup(HTMLParser):
    """The elements of a page, and what of them is not ours."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.foreign = list[str]()
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Check an element."""
        self._inside = tag
        names = [name for name, _ in attrs]
        if tag in FORBIDDEN or "evil" in tag or any("evil" in name for name in names):
            self.foreign.append(self.get_starttag_text() or tag)
        if any(name.startswith("on") or name == "style" for name in names):
            self.foreign.append(f"code in {tag} {names}")
        if tag == "script" and not (dict(attrs).get("src") or "").startswith(("../", "/", "data/")):
            self.foreign.append(f"script {attrs}")
        self.foreign += [f"{tag} {n}={v}" for n, v in attrs if n in ADDRESSES and not is_safe(v)]

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """Check a text."""
        if self._inside in ("script", "style") and data.strip():
            self.foreign.append(f"{self._inside}: {data}")
        self.foreign += [f"invisible {sign!a}" for sign in "\u202e\u2028\u2029\0" if sign in data]

    def handle_comment(self, data: str) -> None:
        """Check a comment: we send none."""
        self.foreign.append(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        """Check a declaration."""
        if decl.lower() != "doctype html":
            self.foreign.append(f"declaration {decl}")

    def unknown_decl(self, data: str) -> None:
        """Check a section, as of CDATA: we send none."""
        self.foreign.append(f"section {data}")

    def handle_pi(self, data: str) -> None:
        """Check an instruction: we send none."""
        self.foreign.append(f"instruction {data}")


def is_safe(address: str | None) -> bool:
    """Return whether an address leads to this server, or openly to a site that we may name."""
    parts = urlsplit(address or "")
    return parts.scheme in ("", "https") and "evil" not in parts.netloc and " " not in parts.netloc


def foreign_markup(page: str) -> list[str]:
    """Return what in a page is not ours: elements, attributes, comments, scripts."""
    return Markup(page).foreign
