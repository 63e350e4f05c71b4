"""What the images of a run are searched, filtered and sorted by, made once when it is needed.

m = images, those that have a page; rows of the gallery are numbered anew here, from 0.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.browser import orders
from src.browser.orders import Order, Ranks
from src.browser.search import SearchIndex
from src.gallery import Gallery
from src.io.printable import printable
from src.reporting.run_folder import RunFolder
from src.reporting.text import as_utf8

UNKNOWN = ""  # as an address writes that an image has no value


class Facet(NamedTuple):
    """A label column to filter by."""

    values: list[str]  # as pages and addresses write them; the last is UNKNOWN
    codes: NDArray[np.int32]  # (m,) which value each image has


class Catalog:
    """The search index, the facets and the orders of m images."""

    def __init__(
        self,
        gallery: Gallery,
        labels: Mapping[str, tuple[list[str], NDArray[np.int64]]],
        occurrence: NDArray[np.int64],
        files: RunFolder,
        rows: NDArray[np.int64],
    ) -> None:
        """Take what is known of all n images, of which the catalog has rows (m,)."""
        self.rows, self._n = rows, len(gallery)
        self._gallery = gallery.subset(rows) if len(rows) < len(gallery) else gallery
        self._labels = {column: (values, codes[rows]) for column, (values, codes) in labels.items()}
        self._occurrence, self._files = occurrence[rows], files
        self._ranks = dict[str, Ranks]()

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def index(self) -> SearchIndex:
        """Return the texts that are searched."""
        return SearchIndex(self._gallery, self._labels)

    @cached_property
    def facets(self) -> dict[str, Facet]:
        """Return the label columns by name."""
        return {
            column: Facet(
                [*(printable(as_utf8(value)) for value in values), UNKNOWN],
                np.where(codes < 0, len(values), codes).astype(np.int32),
            )
            for column, (values, codes) in self._labels.items()
        }

    @cached_property
    def orders(self) -> dict[str, Order]:
        """Return the orders by what an address calls them, "" first."""
        return orders.orders(self._gallery.works, self._labels, self._files, self._n)

    @cached_property
    def rank_names(self) -> list[str]:
        """Return the names of all ranks that orders are made of."""
        return list(dict.fromkeys(order.ranks for order in self.orders.values() if order.ranks))

    def ranks(self, name: str) -> Ranks:
        """Return the ranks with one of rank_names."""
        if name not in self._ranks:
            self._ranks[name] = self._make_ranks(name)
        return self._ranks[name]

    def _make_ranks(self, name: str) -> Ranks:
        if name == "title":
            return orders.title_ranks(self._gallery)
        if name == "artist":
            return orders.artist_ranks(self._gallery.works)
        if name == "date":
            return orders.date_ranks(self._gallery.works)
        if name == "hubs":
            return orders.hub_ranks(self._occurrence)
        values = self._files.query_values(name, self._n)
        assert values is not None  # or no order would name it
        return orders.metric_ranks(values[self.rows])

    def sorted(self, images: NDArray[np.int64], order: Order) -> NDArray[np.int64]:
        """Return images, which are given in order of the collection, in another order."""
        if not order.ranks:
            return images
        return orders.sorted_rows(images, self.ranks(order.ranks), order.descends)

    def note(self, image: int, order: Order) -> str:
        """Return what an order has sorted an image by, "" if that is plain to see or unknown."""
        if not order.ranks:
            return ""
        ranks, notes = self.ranks(order.ranks)
        rank = int(ranks[image])
        return order.note.format(notes[rank]) if notes and rank >= 0 else ""
