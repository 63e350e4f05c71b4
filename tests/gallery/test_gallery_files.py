"""works.csv and gallery.yaml: any text survives writing and reading."""

import csv
import os
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from src.gallery import read_gallery, write_gallery
from src.gallery.gallery import COLUMNS, FILE_FACT_COLUMNS
from tests.support.galleries import labeled, listed, make_images

ODD_NAMES = [
    'a "b".png',
    "a,b.png",
    "a\nb.png",
    "a\r\nb.png",
    "a\rb.png",
    "'.png",
    " a .png",
    "é\u2028.png",
    "-x.png",
    "=HYPERLINK(0).png",
    "'=1.png",
    "\t\x1b]0;x\x07.png",
]
# Any bytes but NUL: names that are not UTF-8 among them; of files, those below a folder
names = st.binary(min_size=1).filter(lambda raw: b"\0" not in raw).map(os.fsdecode)
files = names.filter(lambda name: name[0] != "/" and ".." not in name.split("/"))


@pytest.mark.parametrize("name", [*ODD_NAMES, os.fsdecode(b"caf\xe9.png")])
def test_odd_file_names_survive_writing_and_reading(tmp_path: Path, name: str) -> None:
    folder = make_images(tmp_path / "in", name, f"{name}/{name}"[1:], "plain.png")
    gallery = listed(folder)
    again = read_gallery(tmp_path / "outputs" / "galleries" / gallery.name)
    assert again.works.equals(gallery.works)
    assert all((again.root / file).is_file() for file in again.files)


@settings(max_examples=30)
@given(st.lists(st.tuples(files, names), min_size=1, unique_by=lambda row: row[0]))
def test_any_text_survives_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    works = pd.DataFrame(rows, columns=["file", "title"], dtype=object)
    works = works.assign(**dict.fromkeys(set(FILE_FACT_COLUMNS) - {"file"}, ""))
    gallery = write_gallery("test", folder / rows[0][1].replace("/", ""), works, {}, folder)
    again = read_gallery(folder / "galleries" / gallery.name)
    assert again.works[works.columns].to_numpy().tolist() == works.to_numpy().tolist()
    assert (again.name, again.root) == (gallery.name, gallery.root)


FORMULAS = ["=1+1", "-2+3.png", "@a", "\tb", "'=1", "'-1", "' =2", "'t Hooft", "-5", "1.png"]


@pytest.mark.parametrize("escape_formulas", [True, False])
def test_no_cell_of_works_csv_is_a_formula(tmp_path: Path, escape_formulas: bool) -> None:
    works = pd.DataFrame(dict.fromkeys([*FILE_FACT_COLUMNS, "=a"], FORMULAS), dtype=object)
    gallery = write_gallery("test", tmp_path, works, {}, tmp_path, escape_formulas)
    folder = tmp_path / "galleries" / gallery.name
    with (folder / "works.csv").open(newline="") as file:
        heads, *rows = csv.reader(file)
    escaped = ["'=1+1", "'-2+3.png", "'@a", "'\tb", "''=1", "''-1", "'' =2", *FORMULAS[-3:]]
    assert heads[-1] == ("'=a" if escape_formulas else "=a")
    assert [row[0] for row in rows] == (escaped if escape_formulas else FORMULAS)
    assert read_gallery(folder).works.equals(works)


def test_works_csv_of_an_earlier_version_is_read_as_it_is(tmp_path: Path) -> None:
    works = pd.DataFrame(dict.fromkeys([*FILE_FACT_COLUMNS, "=a"], FORMULAS), dtype=object)
    gallery = write_gallery("test", tmp_path, works, {}, tmp_path, escape_formulas=False)
    folder = tmp_path / "galleries" / gallery.name
    facts = yaml.safe_load((folder / "gallery.yaml").read_text())
    del facts["escape_formulas"]
    (folder / "gallery.yaml").write_text(yaml.safe_dump(facts))
    assert read_gallery(folder).works.equals(works)


def test_works_csv_opens_with_plain_pandas(paintings: Path, tmp_path: Path) -> None:
    gallery = labeled(paintings, "file,mood\nada/0.png,calm\n")
    path = tmp_path / "outputs" / "galleries" / gallery.name / "works.csv"
    works = pd.read_csv(path)
    assert list(works["file"]) == gallery.files
    assert list(works["width"]) == [40] * 12
    standard = [name for name in works if name in COLUMNS]
    assert list(works) == standard + ["folder", "mood"]
    assert standard == sorted(standard, key=COLUMNS.index)


def test_gallery_yaml_contains_the_selection(paintings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "galleries" / listed(paintings, 3, seed=4).name
    assert sorted(path.name for path in folder.iterdir()) == ["gallery.yaml", "works.csv"]
    facts = yaml.safe_load((folder / "gallery.yaml").read_text())
    assert facts == {
        "source": "folder",
        "root": str(paintings),
        "selection": {"images": str(paintings), "labels": None, "limit": 3, "seed": 4},
        "escape_formulas": True,
    }
