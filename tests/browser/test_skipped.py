"""Files that were skipped, read although they are damaged, or are gone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.browser import skipped_view as views
from src.browser.opened import OpenRun
from src.browser.skipped import damaged_images, files_gone, skipped_files
from src.errors import UserError
from src.io.csv_cells import write_rows
from src.reporting.skipped_files import by_reason
from tests.support.open_runs import open_run, site_of

FILES = [
    ("a/1.jpg", "the file ends after 12 bytes"),
    ("=1+1.png", "the file ends after 7 bytes"),
    ("<evil>.gif", "cannot identify 'x'"),
    ("caf\udce9.jpg", "the file ends after 0 bytes"),
]
KIND = "the file ends after … bytes"


@pytest.fixture
def run(tmp_path: Path) -> OpenRun:
    """Return a run that has skipped FILES."""
    made = open_run(tmp_path, np.array([[1], [0], [0]]))
    made.files.write_paths(tmp_path / "gallery", tmp_path / "rows", None, "0", {})
    (tmp_path / "rows").mkdir()
    write_skipped(tmp_path / "rows" / "skipped.csv", FILES)
    return made


def write_skipped(path: Path, files: list[tuple[str, str]], escaped: bool = True) -> None:
    """Write skipped.csv as the embed stage does."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        write_rows(file, [("file", "reason"), *files], escaped)


def render(run: OpenRun, is_static: bool = False, **parameters: str) -> str:
    """Return the body of the page."""
    site = site_of(run, is_static=is_static)
    return site.render_body(run, views.skipped_view(site, run, parameters))


def test_files_are_read_back_as_they_were_skipped(run: OpenRun, tmp_path: Path) -> None:
    assert skipped_files(run) == FILES
    write_skipped(tmp_path / "rows" / "skipped.csv", FILES, escaped=False)
    assert skipped_files(replace(run, settings={"escape_formulas": False})) == FILES


def test_reasons_are_counted_without_names_and_numbers() -> None:
    first, second = by_reason(FILES)
    assert (first.text, first.files) == (KIND, [FILES[0], FILES[1], FILES[3]])
    assert (second.text, second.files) == ("cannot identify …", [FILES[2]])


def test_the_page_lists_all_or_those_of_a_reason(run: OpenRun) -> None:
    html = render(run)
    assert "4 files could not be read and are not among the 3 images" in html
    assert f"<h2>3: {KIND}</h2>" in html and "&lt;evil&gt;.gif" in html and "<evil>" not in html
    one = render(run, reason=KIND)
    assert "=1+1.png" in one and "evil" not in one
    assert render(run, reason="no such").count("<tr>") == html.count("<tr>")


def test_a_long_list_is_cut_and_says_so(run: OpenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MAX_FILES", 2)
    html = render(run)
    assert "The first 2: all of them are in skipped.csv" in html and r"caf\udce9" not in html


def test_nothing_skipped_and_no_list(run: OpenRun, tmp_path: Path) -> None:
    path = tmp_path / "rows" / "skipped.csv"
    write_skipped(path, [])
    assert "Nothing was skipped: all 3 images were read." in render(run)
    for content, reason in ((None, "is gone"), ("x\n1\n", "has no columns file and reason")):
        path.unlink(missing_ok=True)
        if content:
            path.write_text(content)
        again = replace(run)
        with pytest.raises(UserError, match=rf"rows/skipped\.csv {reason}"):
            skipped_files(again)
        html = render(again)
        assert f"skipped.csv {reason}" in html and "Nothing was skipped" not in html
        static = render(again, is_static=True)
        assert "the list of them cannot be read." in static and str(tmp_path) not in static


def test_damaged_files_are_known_from_the_log(run: OpenRun) -> None:
    assert damaged_images(run) == (0, [])
    head = "[2026-01-01 00:00:00,000][src.embedding.unfinished][WARNING] - "
    lines = [
        f"{head}1 images cannot be read and are skipped: see skipped.csv",
        f"{head}       1  the file ends (a.jpg)",
        f"{head}12 images are damaged, but were embedded",
        f"{head}      11  … bytes are missing (<b>.jpg)",
        f"{head}       1  other reasons",
        f"{head}something else",
        f"{head}       5  of that",
    ]
    (run.files.path / "run.log").write_text("\n".join(lines))
    expected = [(11, "… bytes are missing (<b>.jpg)"), (1, "other reasons")]
    assert damaged_images(run) == (12, expected)
    html = render(run)
    assert "12 files are damaged" in html and "11: … bytes are missing (&lt;b&gt;.jpg)" in html


def test_files_that_are_gone_are_looked_for_on_demand(run: OpenRun, tmp_path: Path) -> None:
    (tmp_path / "1.png").touch()
    assert files_gone(run) == [0, 2]
    assert "2 of 3 files are no longer" in render(run, check="1")
    assert "no longer" not in render(run) and "check=1" in render(run)
    assert "no longer" not in render(run, is_static=True, check="1")
    for row in (0, 2):
        (tmp_path / f"{row}.png").touch()
    assert "All 3 files are there." in render(run, check="1")


def test_images_that_were_not_downloaded_are_counted(run: OpenRun) -> None:
    missing = replace(run, metrics={"missing": 5})
    assert "5 selected images could not be downloaded." in render(missing)
    assert "could not be downloaded" not in render(replace(run, metrics={"missing": "x"}))
