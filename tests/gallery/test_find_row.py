"""The painting that a word of src.show means."""

import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from src import show
from src.errors import UserError
from src.gallery import Gallery
from src.gallery.search import find_row, find_rows, fold

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


def captioned(*rows: tuple[str, str, str]) -> Gallery:
    """Return a gallery with these titles, artists and years."""
    table = pd.DataFrame(rows, columns=["title", "artist", "year"], dtype=object)
    return Gallery("g", Path("my/works"), table.assign(file=[f"{n}.jpg" for n in range(len(rows))]))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("girl with a flute", 0),
        ("Girl With a Flute, Johannes Vermeer, 1665", 0),
        ("girl-with-a-flute-1665", 0),
        ("GIRL WITH A…", 0),
        ("vigee le brun", 1),
        ("Vigée-Le Brun", 1),
        ("lopera", 2),
        ("l opera", 2),
        ("l'opéra", 2),
        ("l\u2019Ope\u0301ra", 2),
        ("strasse", 3),
        ("STRAẞE", 3),
        ("Dürer", 3),
        ("Durer", 3),
        ("Duerer", 3),
        ("Oeuvre", 4),
        ("\ufb01n", 4),
        ("artists house", 5),
        ("artist-s-house", 5),
        ("lodz", 6),
        ("が", 7),
        ("हिन्दी", 8),
        ("bacchus", 9),
        ("1596", 10),
    ],
)
def test_search_folds_what_captions_and_names_differ_in(text: str, row: int) -> None:
    shown = captioned(
        ("girl-with-a-flute-1665", "Johannes Vermeer", "1665.0"),
        ("Countess", "Vigée Le Brun", "1789"),
        ("L\u2019Opéra", "", ""),
        ("Straße", "Dürer", ""),
        ("œuvre \ufb01n", "", ""),
        ("The Artist's House", "", ""),
        ("Łódź", "", ""),
        ("がく", "", ""),
        ("हिन्दी", "", ""),
        ("Bacchus", "", ""),
        ("Young Bacchus", "", "1596.0"),
    )
    assert find_row(shown, text) == row


def test_marks_that_are_no_accents_tell_names_apart() -> None:
    assert fold("हिन्दी") != fold("हन्द")
    assert fold("\u0916\u0941") != fold("\u0916")  # a vowel sign
    assert fold("\u05d1\u05bc") == fold("\u05d1")  # a Hebrew point


def test_all_paintings_with_a_word_are_found() -> None:
    shown = captioned(("Sea", "", ""), ("The sea", "", ""), ("Seated man", "", ""), ("x", "", ""))
    assert find_row(shown, "sea") == 0
    assert find_rows(shown, "sea") == [0, 1, 2]
    assert find_rows(shown, "…") == find_rows(shown, "zoe") == []


@pytest.mark.parametrize("name", ["a/2.png", "a/../a/2.png"])
def test_a_path_is_absolute_or_relative_to_where_one_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Gallery("g", tmp_path / "my" / "works", gallery().works)
    (tmp_path / "link").symlink_to(tmp_path / "my")
    for folder in (tmp_path, tmp_path / "my/works/a"):
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(folder)
        for path in (tmp_path / "my/works" / name, Path("my/works") / name, Path(name)):
            if folder == tmp_path or path.is_absolute():
                assert find_row(shown, str(path)) == 1
    assert find_row(shown, "2.png") == find_row(shown, "../a/2.png") == 1
    assert find_row(shown, str(tmp_path / "link/works" / name)) == 1


def test_an_image_of_another_folder_is_not_in_the_collection(tmp_path: Path) -> None:
    (tmp_path / "other.png").touch()
    with pytest.raises(
        UserError, match=r"other.png is none of the 8 images, which are in my/works"
    ):
        find_row(gallery(), str(tmp_path / "other.png"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8" * 5000, "no file, title, artist or date contains"),
        (
            "8",
            r"2 paintings have '8' in file, title, artist or date \(rows are 0 to 7\); give a row:"
            " 0: 1887.png; 5: Im Jahr 1887",
        ),
        ("99", "row must be between 0 and 7, got 99, and no file, title, artist or date contains"),
        ("zoe", "no file, title, artist or date contains 'zoe'"),
        ("galery of king", "'galery of king'; did you mean gallery of kings"),
        ("png", "6 paintings have 'png'"),
    ],
)
def test_what_means_no_painting_or_several_is_an_error(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        find_row(gallery(), text)


def test_an_error_shows_ten_paintings_and_how_many_there_are() -> None:
    shown = captioned(*[("Sea", "", "")] * 12)
    with pytest.raises(
        UserError, match="12 paintings have 'sea' .*the first 10 .--all lists all.: 0: Sea; .*"
    ) as error:
        find_row(shown, "sea")
    assert "9: Sea" in str(error.value) and "10: Sea" not in str(error.value)


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
