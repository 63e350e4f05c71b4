"""The painting that a word of src.show means."""

import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from src import show
from src.errors import UserError
from src.gallery import Gallery
from src.gallery.names import find_row

NFD = unicodedata.normalize("NFD", "Künstler/é.png")
FILES = ["1887.png", "a/2.png", NFD, "-1.png", "gallery", "b/c 1887.png", "IMG_7.JPG", "b/3.png"]


def gallery() -> Gallery:
    titles = ["", "", "", "", "", "Im Jahr 1887", "Mont Cafe\u0301", "gallery of kings"]
    return Gallery("g", Path("my/works"), pd.DataFrame({"file": FILES, "title": titles}))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("1887", 0),
        ("1887.png", 0),
        ("3", 3),
        ("2.png", 1),
        ("a\\2.png", 1),
        ("my/works/a/2.png", 1),
        (unicodedata.normalize("NFC", NFD), 2),
        (NFD, 2),
        ("é", 2),
        ("KÜNSTLER", 2),
        ("-1.png", 3),
        ("gallery", 4),
        ("c 18", 5),
        ("img_7", 6),
        ("Café", 6),
        ("kings", 7),
    ],
)
def test_a_painting_is_found_by_any_spelling(text: str, row: int) -> None:
    assert find_row(gallery(), text) == row


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8" * 5000, "no file or title contains"),
        ("8", "2 paintings have '8' in file or title; give a row: 0: 1887.png; 5: Im Jahr 1887"),
        ("99", "row must be between 0 and 7, got 99, and no file or title contains it"),
        ("zoe", "no file or title contains 'zoe'"),
        ("png", "6 paintings have 'png'"),
    ],
)
def test_what_means_no_painting_or_several_is_an_error(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        find_row(gallery(), text)


@pytest.mark.parametrize(
    ("words", "painting"),
    [
        (["--", "-1.png"], "-1.png"),
        (["-1.png", "--no-open"], "-1.png"),
        (["--no-open", "-a.png"], "-a.png"),
        (["--no-open", "--", "--out"], "--out"),
        (["--", "gallery"], "gallery"),
        (["gallery.png"], "gallery.png"),
        ([], None),
    ],
)
def test_any_name_can_be_asked_for(words: list[str], painting: str | None) -> None:
    assert show.parse(words).painting == painting


@pytest.mark.parametrize("words", [["--nonsense"], ["a", "-b"], ["-a", "-b"]])
def test_an_unknown_option_is_an_error(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        show.parse(words)
    assert "unrecognized arguments" in capsys.readouterr().err


def test_a_home_folder_is_expanded_in_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    options = show.parse(["--outputs", "~/o", "--out", "~/a.png", "--run", "~/r"])
    paths = [options.outputs, options.out, options.run, show.parse(["gallery", "~/f"]).folder]
    assert paths == [Path("/home/ada", name) for name in ("o", "a.png", "r", "f")]
