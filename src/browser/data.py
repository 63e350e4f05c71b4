"""The data that scripts load: by name, in numbered chunks; the same by server and in an export."""

from collections.abc import Callable
from typing import Any, NamedTuple

from src.browser import duplicates, gallery_data, map_data
from src.browser.chunks import chunk
from src.browser.opened import OpenRun
from src.browser.site import NotThere, Site
from src.io.printable import printable

PER_CHUNK = 1000  # rows


class Data(NamedTuple):
    """How the values of chunks are made, and how many a run has."""

    make: Callable[[Site, OpenRun, int], Any]  # from 0 to count - 1
    count: Callable[[OpenRun], int]


def rows_of(run: OpenRun, number: int) -> range:
    """Return the rows of a chunk."""
    return range(number * PER_CHUNK, min((number + 1) * PER_CHUNK, len(run)))


def single(run: OpenRun) -> int:
    """Return the number of chunks of what is small."""
    return 1


def chunks_of_rows(run: OpenRun) -> int:
    """Return the number of chunks with PER_CHUNK rows each."""
    return -(-len(run) // PER_CHUNK)


def captions(site: Site, run: OpenRun, number: int) -> list[list[str] | None]:
    """Return title, artist, date and alternative text of the rows of a chunk that have a page."""
    return [
        [printable(text) for text in (*run.caption(row), run.alt(row))]
        if run.has_page(row)
        else None
        for row in rows_of(run, number)
    ]


def files(site: Site, run: OpenRun, number: int) -> list[str | None]:
    """Return the files of the rows of a chunk that have a page."""
    files = run.gallery.files
    return [files[row] if run.has_page(row) else None for row in rows_of(run, number)]


def rows(site: Site, run: OpenRun, number: int) -> list[int]:
    """Return the rows that have a page, where not all have one."""
    found: list[int] = run.rows.tolist()
    return found


def row_lists(run: OpenRun) -> int:
    """Return the number of chunks of rows."""
    return 0 if run.written is None else 1


DATA = {
    "rows": Data(rows, row_lists),
    "captions": Data(captions, chunks_of_rows),
    "pairs": Data(duplicates.pairs_data, single),
    "pair-captions": Data(duplicates.captions, duplicates.caption_chunks),
    "files": Data(files, chunks_of_rows),
    "map-pca": Data(map_data.pca_points, map_data.pca_count),
    "map-umap": Data(map_data.umap_points, map_data.umap_count),
    "map-labels": Data(map_data.label_codes, map_data.label_count),
    "gallery": Data(gallery_data.overview, single),
    "gallery-texts": Data(gallery_data.texts, gallery_data.text_chunks),
    "gallery-codes": Data(gallery_data.codes, gallery_data.columns),
    "gallery-ranks": Data(gallery_data.ranks, gallery_data.all_ranks),
}


def data_chunk(site: Site, run: OpenRun, name: str, number: int) -> str:
    """Return the text of a chunk. Raises NotThere."""
    if name not in DATA or not 0 <= number < DATA[name].count(run):
        raise NotThere(f"there is no data {name}/{number}")
    return chunk(name, number, DATA[name].make(site, run, number))
