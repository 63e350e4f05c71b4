"""What a page says about one image besides its neighbors: metadata, links, how well it is found.

n = images.
"""

import re
from functools import lru_cache
from math import isnan
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from src.browser.filters import Neighbor, distinct_labels, value_of
from src.browser.opened import OpenRun
from src.browser.selection import State
from src.config.validation import is_address
from src.gallery.gallery import FILE_FACT_COLUMNS
from src.gallery.iiif.image_service import whole_url
from src.reporting.iiif_images import service_at
from src.reporting.labels import measured_columns

KEPT = 8  # runs
LINKS = {  # columns that hold addresses, and the text of the link
    "page": "The museum's page",
    "iiif": "IIIF image",
    "wikidata": "Wikidata",
    "rights": "Rights",
    "url": "Image file",
}
FACTS = (*FILE_FACT_COLUMNS, "iiif_width", "iiif_height", "iiif_profile")
DEPTHS = (10, 5, 1)  # of precision, the deepest that was measured is shown
MAX_REVERSE = 50  # images that have this one as a neighbor, and are listed


class Detail(NamedTuple):
    """A line of the metadata."""

    name: str
    text: str
    address: str = ""  # of the gallery's images with the same value


def details(run: OpenRun, row: int) -> list[Detail]:
    """Return the metadata that is known, but for addresses that are links, and file_facts."""
    texts = {column: run.value(row, column) for column in run.columns}
    return [
        Detail(column.replace("_", " "), text, _same(run, row, column))
        for column, text in texts.items()
        if text and column not in FACTS and not (column in LINKS and link(column, text))
    ]


def file_facts(run: OpenRun, row: int) -> list[Detail]:
    """Return what is known of the file, and of the one that it was made from."""
    texts = {column: run.value(row, column) for column in FACTS}
    return [Detail(column.replace("_", " "), text) for column, text in texts.items() if text]


def _same(run: OpenRun, row: int, column: str) -> str:
    """Return the address of the gallery's images with the same label, "" for what is no label."""
    value = value_of(run, row, column) if column in run.labels else ""
    return State().with_filter(column, value).address() if value else ""


def links(run: OpenRun, row: int) -> list[tuple[str, str]]:
    """Return texts and addresses of pages elsewhere about the image."""
    profile = run.value(row, "iiif_profile")
    values = {column: run.value(row, column) for column in LINKS}
    found = ((text, link(column, values[column], profile)) for column, text in LINKS.items())
    return [(text, address) for text, address in found if address]


def link(column: str, text: str, profile: str = "") -> str:
    """Return the address that a text of one of the columns LINKS leads to, "" if to none.

    Only addresses of the web are any: others could run a script. `profile` is that of the service
    of the column iiif.

    >>> link("wikidata", "Q12418"), link("page", "javascript:alert(1)")
    ('https://www.wikidata.org/wiki/Q12418', '')
    >>> link("iiif", "https://api.nga.gov/iiif/4ad8")  # the base of addresses of all sizes
    'https://api.nga.gov/iiif/4ad8/full/full/0/default.jpg'
    """
    if column == "wikidata" and re.fullmatch(r"Q[0-9]{1,12}", text):
        return f"https://www.wikidata.org/wiki/{text}"
    if not is_address(text):
        return ""
    is_base = column == "iiif" and not re.search(r"\.\w{2,4}$", urlsplit(text).path)
    service = service_at(text.rstrip("/"), profile) if is_base else None
    return whole_url(service) if service else text


class Measured(NamedTuple):
    """How well the images with the same label are found."""

    column: str
    depth: int
    precision: NDArray[np.float64]  # (n,) at this depth, NaN where no other image has the label
    average: NDArray[np.float64] | None  # (n,) average precision at 10


class Quality(NamedTuple):
    """How well one image's label is found, and the mean of the collection."""

    column: str
    same: int  # neighbors with the same label
    depth: int  # of so many
    mean_same: float
    average: float | None  # average precision at 10
    mean_average: float


@lru_cache(KEPT)
def _measured(run: OpenRun) -> list[Measured]:
    found = list[Measured]()
    for column in filter(distinct_labels(run).__contains__, measured_columns(run.metrics)):
        for depth in DEPTHS:
            precision = run.files.query_values(f"{column}/precision_at_{depth}", len(run))
            if precision is not None:
                average = run.files.query_values(f"{column}/map_at_10", len(run))
                found.append(Measured(column, depth, precision, average))
                break
    return found


@lru_cache(KEPT)
def _means(run: OpenRun) -> dict[str, tuple[float, float]]:
    """Return by column the means over all images: of precision and average precision."""
    nan = float("nan")
    return {
        column: (
            float(np.nanmean(precision)),
            nan if average is None else float(np.nanmean(average)),
        )
        for column, _, precision, average in _measured(run)
    }


def quality(run: OpenRun, row: int) -> list[Quality]:
    """Return how well the image's labels are found, of those that another image shares."""
    found = list[Quality]()
    for column, depth, precision, average in _measured(run):
        if isnan(precision[row]):
            continue
        mean, mean_average = _means(run)[column]
        own = None if average is None or isnan(average[row]) else float(average[row])
        same = round(float(precision[row]) * depth)
        found.append(Quality(column, same, depth, mean * depth, own, mean_average))
    return found


@lru_cache(KEPT)
def _reverse(run: OpenRun) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return places in the lists of neighbors, by the image that is there, and where each begins.

    A place is a row times k plus a rank.
    """
    starts = np.concatenate([[0], np.cumsum(run.occurrence)])
    return np.argsort(run.index.ravel(), kind="stable"), starts


def neighbor_of(run: OpenRun, row: int) -> list[Neighbor]:
    """Return the images that have one among their neighbors, by score, up to MAX_REVERSE."""
    places, starts = _reverse(run)
    mine = places[starts[row] : starts[row + 1]]
    scores = run.score.ravel()[mine]
    best = np.argsort(-scores, kind="stable")[:MAX_REVERSE]
    rows = mine[best] // run.index.shape[1]
    return list(zip(rows.tolist(), scores[best].tolist(), strict=True))
