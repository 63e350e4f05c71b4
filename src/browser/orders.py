"""The orders that images can be shown in: numbers of each image by which they are sorted.

n = images.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.gallery import Gallery
from src.gallery.captions import date_of
from src.gallery.search import fold
from src.reporting.run_folder import RunFolder
from src.reporting.text import format_number

DIGITS = 9  # of numbers in titles that are sorted by their size
AVERAGE_PRECISION = "/map_at_10"  # of the names of metrics
NUMBERS = re.compile(  # in the order in which they are believed
    r"(?<!\d)(?P<year>\d{4})(?!\d)|(?<!\d)(?P<century>\d{1,2})(?:st|nd|rd|th)[ -]+c(?:\b|ent)"
    r"|(?<![\d.])(?P<early>\d{3})(?!\d)",
    re.IGNORECASE,
)
BEFORE_CHRIST = re.compile(r"\bB\.?\s?C(?:\.?\s?E)?\b", re.IGNORECASE)


class Ranks(NamedTuple):
    """How images are sorted by something: equal ones have equal ranks."""

    ranks: NDArray[np.int64]  # (n,) from 0, -1 where it is unknown
    values: list[str]  # by rank, as a note below the images; [] without notes


class Order(NamedTuple):
    """A choice of the menu."""

    text: str
    ranks: str  # the name of its ranks
    descends: bool = False
    note: str = "{}"  # below each image, with a value of the ranks


def year_of(date: str) -> int | None:
    """Return the first year that a date names, of a century its first; None without any.

    >>> [year_of(date) for date in ("c. 1884", "1501/1506", "1884.0", "late 15th century", "n.d.")]
    [1884, 1501, 1884, 1401, None]
    """
    found = list(NUMBERS.finditer(date))
    for kind in ("year", "century", "early"):
        for match in found:
            if text := match[kind]:
                return _counted(int(text), kind == "century", date)
    return None


def _counted(number: int, is_century: bool, date: str) -> int:
    """Return a year, or the first of a century: negative before Christ."""
    if BEFORE_CHRIST.search(date):
        return -100 * number if is_century else -number
    return 100 * (number - 1) + 1 if is_century else number


def orders(
    works: pd.DataFrame, labels: Iterable[str], files: RunFolder, n: int
) -> dict[str, Order]:
    """Return the orders of a run by what an address calls them; "" is that of the collection.

    The works may be some of the run's n images.
    """
    given = {"": Order("Order of the collection", ""), "title": Order("Title", "title")}
    if "artist" in works:
        given["artist"] = Order("Artist", "artist")
    if {"date", "year"} & set(works):
        given["date"] = Order("Date, oldest first", "date")
        given["newest"] = Order("Date, newest first", "date", descends=True)
    given["hubs"] = Order("Hubs first", "hubs", True, "in lists of neighbors: {}")
    for column in labels:
        metric = f"{column}{AVERAGE_PRECISION}"
        if files.query_values(metric, n) is None:
            continue
        for name, descends in (("worst", False), ("best", True)):
            text = f"Average precision of {column}, {name} first"
            given[f"{metric}.{name}"] = Order(text, metric, descends, "average precision {}")
    return given


def title_ranks(gallery: Gallery) -> Ranks:
    """Return the ranks of titles, of a file without one."""
    works = gallery.works
    texts = zip(_column(works, "title"), _column(works, "title_slug"), gallery.files, strict=True)
    return _ranks_of_texts([title or slug or file for title, slug, file in texts])


def artist_ranks(works: pd.DataFrame) -> Ranks:
    """Return the ranks of artists."""
    return _ranks_of_texts(_column(works, "artist"))


def date_ranks(works: pd.DataFrame) -> Ranks:
    """Return the ranks of dates by year_of."""
    dates = list(zip(_column(works, "date"), _column(works, "year"), strict=True))
    years = {(date, year): year_of(date_of({"date": date, "year": year})) for date, year in dates}
    ranks, _ = pd.factorize(np.array([years[date] for date in dates], float), sort=True)
    return Ranks(ranks.astype(np.int64), [])


def hub_ranks(occurrence: NDArray[np.int64]) -> Ranks:
    """Return the ranks of images (n,) by the number of lists that each is in."""
    counts, ranks = np.unique(occurrence, return_inverse=True)
    return Ranks(ranks, list(map(str, counts.tolist())))


def metric_ranks(values: NDArray[np.float64]) -> Ranks:
    """Return the ranks of a metric's values (n,), NaN where it has none."""
    ranks, known = pd.factorize(values, sort=True)
    return Ranks(ranks.astype(np.int64), [format_number(value) for value in known.tolist()])


def sorted_rows(rows: NDArray[np.int64], ranks: Ranks, descends: bool) -> NDArray[np.int64]:
    """Return rows (m,) by their ranks, unknown ones last, equal ones as they were."""
    keys = ranks.ranks[rows]
    keys = np.where(keys < 0, len(ranks.ranks), -keys if descends else keys)
    return rows[np.argsort(keys, kind="stable")]


def _column(works: pd.DataFrame, column: str) -> list[str]:
    """Return (n,) the texts of a column, "" for all without it."""
    return list(works[column]) if column in works else [""] * len(works)


def _ranks_of_texts(texts: Sequence[str]) -> Ranks:
    """Return ranks by the letters of fold() and the size of numbers, -1 for ""."""
    forms = {text: _sortable(text) if text else None for text in set(texts)}
    ranks, _ = pd.factorize(pd.Series([forms[text] for text in texts], dtype=object), sort=True)
    return Ranks(ranks.astype(np.int64), [])


def _sortable(text: str) -> str:
    """Return what sorts No. 2 before No. 10."""
    return re.sub(r"\d+", lambda number: number[0].zfill(DIGITS), fold(text))
