"""The images that a search and filters select, and how many each other filter would.

m = images of the catalog.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from src.browser.addresses import PREFIX
from src.browser.catalog import UNKNOWN, Catalog
from src.browser.search import Match
from src.io.printable import one_line
from src.reporting.text import as_utf8

PAGE = "gallery.html"
MAX_QUERY = 200  # characters
MAX_VALUES = 100  # of a column that are listed
EXAMPLES = 5


@dataclass(frozen=True)
class State:
    """What the address of the gallery asks for."""

    query: str = ""
    filters: tuple[tuple[str, str], ...] = ()  # label columns with a value each, UNKNOWN for none
    sort: str = ""
    page: int = 1

    def fields(self) -> list[tuple[str, str]]:
        """Return names and values of the address, but for the page."""
        filters = [(PREFIX + column, value) for column, value in self.filters]
        plain = [("q", self.query), *filters, ("sort", self.sort)]
        return [(name, value) for name, value in plain if value or name.startswith(PREFIX)]

    def address(self) -> str:
        """Return the relative address of the gallery in this state."""
        pairs = [*self.fields(), *([("page", str(self.page))] if self.page > 1 else [])]
        return f"{PAGE}?{urlencode(pairs, errors='surrogateescape')}" if pairs else PAGE

    def with_filter(self, column: str, value: str | None) -> "State":
        """Return the first page of the state with another value of a column, none for None."""
        others = tuple(pair for pair in self.filters if pair[0] != column)
        chosen = () if value is None else ((column, value),)
        return replace(self, filters=others + chosen, page=1)

    def with_query(self, query: str) -> "State":
        """Return the first page of the state with another query."""
        return replace(self, query=query, page=1)


def read_state(parameters: Mapping[str, str], catalog: Catalog) -> tuple[State, list[str]]:
    """Return the state that an address asks for, and the label columns it has that are not there.

    What else is not there, as in another run, is left out. The page is the first: how many there
    are is known once the images are found.
    """
    query = one_line(as_utf8(parameters.get("q", "")))[:MAX_QUERY].strip()
    given = {
        name.removeprefix(PREFIX): value
        for name, value in parameters.items()
        if name.startswith(PREFIX)
    }
    filters = tuple((column, given[column]) for column in given if column in catalog.facets)
    sort = parameters.get("sort", "")
    missing = [column for column in given if column not in catalog.facets]
    return State(query, filters, sort if sort in catalog.orders else ""), missing


class Value(NamedTuple):
    """A value of a label column as a link that chooses it, or lets go of it."""

    text: str  # UNKNOWN for images without a value
    address: str
    images: int
    is_active: bool = False


class Values(NamedTuple):
    """A label column with its most frequent values."""

    column: str
    values: list[Value]
    rest: int  # how many values there are besides


class Condition(NamedTuple):
    """A word or a value that is asked for."""

    column: str  # "" for a word of the search
    text: str
    images: NDArray[np.bool_]  # (m,) which images meet it
    without: State  # what is left to ask for
    alone: State


class WayOut(NamedTuple):
    """A link from an empty result to one that is not."""

    kind: str
    column: str
    text: str
    address: str
    images: int


class Selection:
    """The images that a state selects."""

    def __init__(self, catalog: Catalog, state: State) -> None:
        self.catalog, self.state = catalog, state
        self.matches: list[Match] = catalog.index.search(state.query) if state.query else []
        self.conditions = [*self._words(), *self._values()]

    def _words(self) -> Iterator[Condition]:
        words = [match.word for match in self.matches]
        for at, (word, match) in enumerate(zip(words, self.matches, strict=True)):
            without = self.state.with_query(" ".join(words[:at] + words[at + 1 :]))
            alone = State(word, sort=self.state.sort)
            yield Condition("", word, match.rows, without, alone)

    def _values(self) -> Iterator[Condition]:
        for column, text in self.state.filters:
            values, codes = self.catalog.facets[column]
            images = codes == (values.index(text) if text in values else -1)
            alone = State(filters=((column, text),), sort=self.state.sort)
            yield Condition(column, text, images, self.state.with_filter(column, None), alone)

    def _all_but(self, left_out: Condition | None) -> NDArray[np.bool_]:
        """Return (m,) which images meet all conditions but one, or all."""
        images = np.ones(len(self.catalog), bool)
        for condition in self.conditions:
            if condition is not left_out:
                images &= condition.images
        return images

    @cached_property
    def images(self) -> NDArray[np.int64]:
        """Return the images of the catalog that are selected, in order of the state."""
        images = np.flatnonzero(self._all_but(None))
        return self.catalog.sorted(images, self.catalog.orders[self.state.sort])

    def facet(self, column: str) -> Values:
        """Return the values of a column with counts under all other conditions, frequent first."""
        own = next((c for c in self.conditions if c.column == column), None)
        active = own.text if own else None
        values, codes = self.catalog.facets[column]
        counts = np.bincount(codes[self._all_but(own)], minlength=len(values))
        order = np.argsort(-counts, kind="stable")
        shown = [code for code in order[:MAX_VALUES].tolist() if counts[code]]
        if active in values and (code := values.index(active)) not in shown:
            shown.append(code)
        links = [self._value(column, values[code], int(counts[code]), active) for code in shown]
        return Values(column, links, int((counts > 0).sum() - (counts[shown] > 0).sum()))

    def _value(self, column: str, text: str, count: int, active: str | None) -> Value:
        state = self.state.with_filter(column, None if text == active else text)
        return Value(text, state.address(), count, text == active)

    def ways_out(self) -> list[WayOut]:
        """Return what of several conditions to let go, or which to keep, to find an image."""
        if len(self.conditions) < 2:
            return []
        ways = [_way("Without", c, c.without, self._all_but(c)) for c in self.conditions]
        if not any(way.images for way in ways):
            ways = [_way("Only", c, c.alone, c.images) for c in self.conditions]
        return [way for way in ways if way.images]


def _way(kind: str, condition: Condition, state: State, images: NDArray[np.bool_]) -> WayOut:
    return WayOut(kind, condition.column, condition.text, state.address(), int(images.sum()))


def examples(catalog: Catalog) -> Values | None:
    """Return the first label column with values to begin anew with, None without a column."""
    for column in catalog.facets:
        values = Selection(catalog, State()).facet(column).values
        known = [value for value in values if value.text != UNKNOWN]
        return Values(column, known[:EXAMPLES], 0)
    return None
