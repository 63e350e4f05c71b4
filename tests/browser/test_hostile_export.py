"""What others wrote stays text in the files of an export, and in the bodies in its data."""

import re
from pathlib import Path

import pytest

from src.browser.views import VIEWS
from tests.support.exported import chunk_value, export_runs
from tests.support.hostile_texts import foreign_markup


@pytest.fixture(scope="module")
def folder(hostile_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an export of runs full of hostile texts."""
    return export_runs(hostile_runs, tmp_path_factory.mktemp("exported"))


def test_no_text_becomes_markup_in_a_file(folder: Path) -> None:
    shown = 0
    for path in folder.rglob("*.html"):
        assert foreign_markup(path.read_text("utf-8")) == [], path
        shown += "evil" in path.read_text("utf-8")
    assert shown


def test_no_text_ends_the_script_of_a_chunk(folder: Path) -> None:
    chunks = list((folder / "0" / "data").rglob("*.js")) + list(
        (folder / "1" / "data").rglob("*.js")
    )
    assert chunks
    for path in chunks:
        text = path.read_text("utf-8")
        assert not re.search("[<>&\u2028\u2029\ud800-\udfff]", text), path
        assert chunk_value(path) is not None


@pytest.mark.parametrize("name", [name for name, entry in VIEWS.items() if entry.per_row])
def test_no_text_becomes_markup_in_a_body(folder: Path, name: str) -> None:
    bodies = [
        body
        for path in (folder / "0" / "data" / name).glob("*.js")
        for body in chunk_value(path).values()
    ]
    assert bodies
    assert [foreign_markup(body) for body in bodies] == [[]] * len(bodies)
    assert all("evil" in body for body in bodies)


def test_names_of_files_are_ours(folder: Path) -> None:
    names = {path.name for path in folder.rglob("*")}
    assert [name for name in names if not re.fullmatch(r"[\w.-]+", name, re.ASCII)] == []
