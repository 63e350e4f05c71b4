"""Captions of images: titles, artists and dates."""

from pathlib import Path

import pandas as pd
import pytest

from src.gallery import Gallery
from src.gallery.captions import caption_of, readable_title


@pytest.mark.parametrize(
    ("title", "year", "shown"),
    [
        ("the-tedder-1884", "1884.0", "The tedder, 1884"),
        ("supper-at-emmaus-1606(1)", "1606.0", "Supper at emmaus (1), 1606"),
        ("a-bar-at-the-folies-bergere-1882-1", "1882.0", "A bar at the folies bergere (1), 1882"),
        ("the-landing-3rd-november-1600-1625", "1600.0", "The landing 3rd november 1600 1625"),
        ("portrait-of-jeanne-1", "", "Portrait of jeanne 1"),
        ("not_detected_207835", "", "Not detected 207835"),
        ("mädchen-mit-flöte", "", "Mädchen mit flöte"),
        ("pasha", "", "Pasha"),
        ("1884", "1884.0", "1884"),
        ("010_0ec688af", "", "010_0ec688af"),
        ("", "1884.0", "1884"),
        ("x" * 9999 + "-y-1884", "1884", f"X{'x' * 9998} y, 1884"),
    ],
)
def test_a_slug_is_shown_as_words_with_its_year_once(title: str, year: str, shown: str) -> None:
    assert str(caption_of({"title": title, "title_slug": title, "year": year})) == shown
    assert str(caption_of({"title_slug": title, "year": year})) == shown


@pytest.mark.parametrize(
    "title", ["Self-Portrait", "pasha", "The Tedder-1884", "self-portrait at 30", "192", "1-2", "-"]
)
def test_a_title_that_a_person_wrote_stays(title: str) -> None:
    assert readable_title(title) == title


def test_a_file_name_of_words_is_a_title() -> None:
    assert readable_title("Girl_with_a_Pearl-Earring") == "Girl with a Pearl-Earring"


def test_the_date_comes_before_the_year() -> None:
    work = {"title": "Sea", "artist": "Ada", "date": "c. 1665/1670", "year": "1665"}
    assert str(caption_of(work)) == "Sea, Ada, c. 1665/1670"


def test_a_gallery_tells_the_file_of_an_image_without_title() -> None:
    works = pd.DataFrame({"file": ["a/1.png", "b.png"], "title": ["", "a-sea"], "artist": "Ada"})
    gallery = Gallery("g", Path("."), works)
    assert [gallery.caption(row) for row in (0, 1)] == ["a/1.png", "A sea, Ada"]
