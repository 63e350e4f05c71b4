"""The data that scripts load: by name, in numbered chunks; the same by server and in an export."""

from collections.abc import Callable
from typing import Any, NamedTuple

from src.browser.chunks import chunk
from src.browser.opened import OpenRun
from src.browser.site import NotThere, Site

PER_CHUNK = 1000  # rows


class Data(NamedTuple):
    """How the values of chunks are made, and how many a run has."""

    make: Callable[[Site, OpenRun, int], Any]  # from 0 to count - 1
    count: Callable[[OpenRun], int]


def rows_of(run: OpenRun, number: int, per: int = PER_CHUNK) -> range:
    """Return the rows of a chunk."""
    return range(number * per, min((number + 1) * per, len(run)))


def chunks_of_rows(run: OpenRun) -> int:
    """Return the number of chunks with PER_CHUNK rows each."""
    return -(-len(run) // PER_CHUNK)


def captions(site: Site, run: OpenRun, number: int) -> list[list[str]]:
    """Return title, artist, date and alternative text of the rows of a chunk."""
    return [[*run.caption(row), run.alt(row)] for row in rows_of(run, number)]


DATA = {
    "captions": Data(captions, chunks_of_rows),
}


def data_chunk(site: Site, run: OpenRun, name: str, number: int) -> str:
    """Return the text of a chunk. Raises NotThere."""
    if name not in DATA or not 0 <= number < DATA[name].count(run):
        raise NotThere(f"there is no data {name}/{number}")
    return chunk(name, number, DATA[name].make(site, run, number))
