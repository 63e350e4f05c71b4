"""Letters that DejaVu Sans lacks, with a font made here, with none, and with those installed."""

import base64
import logging
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw

from src.leaderboard.comparison import compare
from src.leaderboard.html import render_page
from src.leaderboard.runs import read_runs
from src.reporting import fonts
from src.reporting.contact_sheets import About, Card, sheet
from src.reporting.fonts import FontFile, displayable, fallback_fonts, font_runs
from src.reporting.pages import font
from src.reporting.wrapping import wrap_text
from tests.support.made_runs import random_neighbors, write_run

CHINESE = "\u5c71\u6c34 Landscape"
LATIN = "Łódź, Ἀθῆναι, Тайная вечеря, ציור, لوحة, Cafe\u0301"


@pytest.fixture(autouse=True)
def empty_caches() -> Iterator[None]:
    """Forget the fonts that were found."""
    caches = (fonts.find_font, fonts._matplotlib_fonts, fonts._report_missing)
    for function in caches:
        function.cache_clear()
    yield
    for function in caches:
        function.cache_clear()


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the fonts of this machine."""
    monkeypatch.setattr(fonts, "fontconfig_fonts", lambda *_: [])
    manager, own = fonts.font_manager.fontManager, str(fonts.TTF)
    kept = [entry for entry in manager.ttflist if entry.fname.startswith(own)]
    monkeypatch.setattr(manager, "ttflist", kept)


@pytest.fixture
def squares(no_fonts: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FontFile:
    """Install a font whose every letter is a black square: Chinese ones and a Latin one."""
    pen = TTGlyphPen(None)
    for number, corner in enumerate([(0, 0), (0, 800), (800, 800), (800, 0)]):
        (pen.lineTo if number else pen.moveTo)(corner)
    pen.closePath()
    square, names = pen.glyph(), [".notdef", "square"]
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder(names)
    made.setupCharacterMap(dict.fromkeys([0x5C71, 0x6C34, ord("L")], "square"))
    made.setupGlyf(dict.fromkeys(names, square))
    made.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    made.save(tmp_path / "squares.ttf")
    installed = FontFile(str(tmp_path / "squares.ttf"))
    monkeypatch.setattr(fonts, "fontconfig_fonts", lambda *_: [installed])
    return installed


def drawn(text: str) -> np.ndarray:
    """Return the ink of text, 0 to 1, in 20 pixels."""
    page = Image.new("L", (400, 40), 255)
    font(20).draw(ImageDraw.Draw(page), (0, 0), text, "black")
    return 1 - np.asarray(page) / 255


def test_letters_are_drawn_in_a_font_that_has_them(squares: FontFile) -> None:
    base = fonts.base_font(False)
    assert font_runs(CHINESE) == [("\u5c71\u6c34", squares), (" Landscape", base)]
    ink = drawn(CHINESE)
    assert ink[3:19, 1:15].min() == 1 and ink[3:19, 21:35].min() == 1  # two squares of 16 pixels
    width = font(20).getlength(CHINESE)
    assert width == 40 + font(20).getlength(" Landscape")
    assert not ink[:, int(width) + 2 :].any()


def test_a_mark_stays_with_its_letter(squares: FontFile) -> None:
    text = displayable("\u5c71\u0301a\u0301")
    assert font_runs(text) == [("\u5c71\u0301", squares), ("á", fonts.base_font(False))]


def test_text_with_such_letters_fits_its_width(squares: FontFile) -> None:
    rows = wrap_text("\u5c71\u6c34" * 30, font(12), 150, 2)
    assert len(rows) == 2 and rows[1].endswith("…")
    assert all(100 < font(12).getlength(row) <= 150 for row in rows)


def test_nothing_is_searched_for_letters_of_dejavu(monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*_: object) -> None:
        raise AssertionError("searched for a font")

    monkeypatch.setattr(fonts, "find_font", search)
    assert font_runs(LATIN) == [(LATIN, fonts.base_font(False))]
    assert drawn(LATIN).any()


@pytest.mark.usefixtures("no_fonts")
def test_a_missing_font_is_one_line_that_names_the_package(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    titles = [CHINESE, "\u6d6e\u4e16\u7d75", "\u30ab\u30a8\u30eb", "\ubaa8\ub780\ub3c4"]
    with caplog.at_level(logging.WARNING):
        page = sheet(
            [Card(tmp_path / "none", "", t, t) for t in titles], 4, 100, About(titles[0], titles)
        )
    assert page.width > 400
    assert [record.getMessage() for record in caplog.records] == [
        "pictures: no installed font has some letters of the titles; install the package"
        " fonts-noto-cjk"
    ]


@pytest.mark.parametrize(
    ("letter", "name"),
    [("\u4e2d", "cjk"), ("\u3042", "cjk"), ("\uac00", "cjk"), ("\u0e01", "core")],
)
def test_the_package_has_the_letter(letter: str, name: str) -> None:
    assert fonts.package(letter) == f"fonts-noto-{name}"


def test_a_damaged_font_is_passed_over(no_fonts: None, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "damaged.ttf").write_bytes(b"no font")
    damaged = FontFile(str(tmp_path / "damaged.ttf"))
    monkeypatch.setattr(fonts, "fontconfig_fonts", lambda *_: [damaged])
    assert fallback_fonts(CHINESE) == []


def test_control_characters_are_drawn_escaped() -> None:
    assert displayable("a\x1b[2J\u202e caf\udce9") == r"a\x1b[2J\u202e caf" + "\ufffd"


@pytest.mark.parametrize("text", ["\u5c71\u6c34", "\u6d6e\u4e16\u7d75\u306e", "\ubaa8\ub780\ub3c4"])
@pytest.mark.parametrize("fontconfig", [True, False])
def test_an_installed_font_is_found(
    text: str, fontconfig: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = []
    if shutil.which("fc-list"):
        charset = " ".join(f"{ord(letter):x}" for letter in text)
        command = ["fc-list", f":charset={charset}:scalable=true:color=false", "file"]
        listed = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    if not listed:
        pytest.skip("no installed font has these letters: apt-get install fonts-noto-cjk")
    if not fontconfig:
        monkeypatch.setattr(shutil, "which", lambda _: None)
        monkeypatch.setattr(
            fonts.font_manager.fontManager,
            "ttflist",
            [fonts.font_manager.FontEntry(line.strip(" :")) for line in listed],
        )
    assert [run for run, _ in font_runs(text)] == [text]
    assert font_runs(text)[0][1] != fonts.base_font(False)
    assert not np.array_equal(drawn(text[0]), drawn("\U0010fffd"))  # not the box


@pytest.mark.parametrize("installed", [True, False])
def test_plots_of_a_leaderboard_show_any_letters(
    installed: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    request.getfixturevalue("squares" if installed else "no_fonts")
    draw = np.random.default_rng(0)
    for name, title in (("0", CHINESE), ("1", "esc\x1b[2J caf\udce9")):
        average, index = draw.random(200), random_neighbors(draw)
        write_run(tmp_path / name, average, index, backbone={"layer": title})
    page = render_page(compare(read_runs([tmp_path]), None), tmp_path)  # warnings are errors
    plot = page.split("data:image/svg+xml;base64,")[1].split('"')[0]
    svg = base64.b64decode(plot).decode()
    assert "\u5c71\u6c34" in svg and "\x1b" not in svg
    assert ("Squares" in svg) == installed
