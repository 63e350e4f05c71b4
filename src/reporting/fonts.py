"""Fonts of the pictures: DejaVu Sans, and installed fonts for letters that it lacks.

Nothing is searched while DejaVu Sans has them all: Latin, Greek, Cyrillic, Hebrew, Arabic.
"""

import logging
import re
import shutil
import subprocess
import unicodedata
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from PIL import ImageDraw, ImageFont

from src.io.printable import printable
from src.reporting.text import as_utf8

log = logging.getLogger(__name__)

TTF = Path(matplotlib.get_data_path(), "fonts", "ttf")
INVISIBLE = {"Cf", "Cc", "Mn", "Me", "Mc"}  # categories of signs kept with the letter before
# A letter that tells the language; Chinese characters alone are taken as Chinese
LANGUAGES = {"ja": re.compile("[\u3040-\u30ff]"), "ko": re.compile("[\u1100-\u11ff\uac00-\ud7af]")}
CJK = re.compile("CJK|HIRAGANA|KATAKANA|HANGUL|BOPOMOFO|IDEOGRAPHIC")


class FontFile(NamedTuple):
    """A font: a file, and which of the fonts in it."""

    path: str
    number: int = 0


@dataclass(frozen=True)
class Face:
    """Draws text in one size, each run of letters in a font that has them."""

    size: float
    bold: bool = False

    @cached_property
    def base(self) -> ImageFont.FreeTypeFont:
        """Return DejaVu Sans in this size."""
        return _load(base_font(self.bold), self.size)

    def getlength(self, text: str) -> float:
        """Return the width of text in pixels."""
        return sum(face.getlength(run) for run, face in self._runs(text))

    def draw(self, pen: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, ink: str) -> None:
        """Draw text with its upper left corner at xy; the runs stand on one line."""
        x, y = xy[0], xy[1] + self.base.getmetrics()[0]
        for run, face in self._runs(text):
            pen.text((x, y), run, ink, face, anchor="ls")
            x += face.getlength(run)

    def _runs(self, text: str) -> list[tuple[str, ImageFont.FreeTypeFont]]:
        """Return text in runs, each with its font."""
        if has_letters(base_font(self.bold), text):
            return [(text, self.base)]
        return [(run, _load(file, self.size)) for run, file in font_runs(text, self.bold)]


def displayable(text: str) -> str:
    """Return text as one line that is drawn: marks joined with their letters, all of it visible."""
    return printable(as_utf8(unicodedata.normalize("NFC", text)))


def font_runs(text: str, bold: bool = False) -> list[tuple[str, FontFile]]:
    """Return text in runs of letters, each with a font that has them; DejaVu Sans if none has."""
    base, extra = base_font(bold), fallback_fonts(text, bold)
    files: list[FontFile] = []
    for letter in text:
        if unicodedata.category(letter) in INVISIBLE and files:
            files.append(files[-1])
        else:
            fonts = [base, *extra]
            files.append(next((file for file in fonts if has_letters(file, letter)), base))
    pairs = zip(text, files, strict=True)
    return [
        ("".join(letter for letter, _ in run), file)
        for file, run in groupby(pairs, key=lambda pair: pair[1])
    ]


def fallback_fonts(text: str, bold: bool = False) -> list[FontFile]:
    """Return installed fonts that have the letters of text which DejaVu Sans lacks.

    Logs once which package would bring the letters that no font has.
    """
    missing = sorted(_missing(base_font(bold), text))
    if not missing:
        return []
    language = next((name for name, sign in LANGUAGES.items() if sign.search(text)), "zh-cn")
    found: list[FontFile] = []
    for letter in missing:
        if not any(has_letters(file, letter) for file in found):
            file = find_font(letter, language, bold)
            if file is None:
                _report_missing(package(letter))
            else:
                found.append(file)
    return found


@cache
def find_font(letter: str, language: str, bold: bool) -> FontFile | None:
    """Return an installed font that has a letter, None if there is none."""
    candidates = fontconfig_fonts(letter, language, bold) if shutil.which("fc-match") else []
    return next((file for file in candidates if has_letters(file, letter)), None) or next(
        (file for file in _matplotlib_fonts() if has_letters(file, letter)), None
    )


def fontconfig_fonts(letter: str, language: str, bold: bool) -> list[FontFile]:
    """Return the font that fontconfig prefers for a letter, in a list; [] if it fails."""
    style = ":bold" if bold else ""
    pattern = f"sans:lang={language}:charset={ord(letter):x}:scalable=true:color=false{style}"
    command = ["fc-match", "--format", "%{file}\t%{index}\n", pattern]
    printed = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    lines = [line.split("\t") for line in printed.stdout.splitlines()]
    # the upper half of an index is a variant of the font, which Pillow does not know
    return [FontFile(path, int(index) & 0xFFFF) for path, index in lines]


@cache
def _matplotlib_fonts() -> list[FontFile]:
    """Return the fonts that matplotlib has found on this machine."""
    paths = {font.fname for font in font_manager.fontManager.ttflist}
    own = str(matplotlib.get_data_path())
    return [FontFile(path) for path in sorted(paths) if not path.startswith(own)]


@cache
def _letters(file: FontFile) -> frozenset[int]:
    """Return the letters of a font that Pillow can draw, none if it cannot read the font."""
    try:
        ImageFont.truetype(file.path, 12, file.number)
        return frozenset(FT2Font(file.path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


def has_letters(file: FontFile, text: str) -> bool:
    """Return whether a font has all visible letters of text."""
    return not _missing(file, text)


def _missing(file: FontFile, text: str) -> set[str]:
    letters = _letters(file)
    return {
        letter
        for letter in set(text)
        if ord(letter) not in letters and unicodedata.category(letter) not in INVISIBLE
    }


def package(letter: str) -> str:
    """Return the name of a Debian package with a font that has a letter."""
    if CJK.search(unicodedata.name(letter, "")):
        return "fonts-noto-cjk"
    return "fonts-symbola" if unicodedata.category(letter) == "So" else "fonts-noto-core"


@cache
def _report_missing(name: str) -> None:
    log.warning(
        "pictures: no installed font has some letters of the titles; install the package %s", name
    )


@cache
def _load(file: FontFile, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file.path, size, file.number)


@cache
def base_font(bold: bool) -> FontFile:
    """Return DejaVu Sans, which comes with matplotlib."""
    return FontFile(str(TTF / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")))


def plot_families(text: str) -> list[str]:
    """Return the families for matplotlib's rcParams["font.family"] to draw text with."""
    families = ["sans-serif"]
    for file in fallback_fonts(text):
        font_manager.fontManager.addfont(file.path)
        families.append(font_manager.FontProperties(fname=file.path).get_name())
    return families
