"""What gallery.js searches, filters and sorts by in an export: folded texts, and numbers.

Lists are of the images of the catalog, in its order.
"""

from typing import Any

from src.browser.opened import OpenRun
from src.browser.site import Site

PER_CHUNK = 10_000  # texts


def overview(site: Site, run: OpenRun, number: int) -> dict[str, Any]:
    """Return the images' rows, the label columns with their values, and the orders."""
    catalog = run.catalog
    spelled = [values for values, _ in catalog.index.labels]
    facets = zip(catalog.facets.items(), spelled, strict=True)
    return {
        "rows": catalog.rows.tolist() if len(catalog) < len(run) else None,  # None: all, from 0
        "images": len(catalog),
        "columns": [[column, facet.values, texts] for (column, facet), texts in facets],
        "orders": {
            key: [catalog.rank_names.index(order.ranks), order.descends, order.note]
            for key, order in catalog.orders.items()
            if order.ranks
        },
        "texts": text_chunks(run),
    }


def texts(site: Site, run: OpenRun, number: int) -> str:
    """Return the texts of some images, one a line: row_texts."""
    return "\n".join(run.catalog.index.texts[number * PER_CHUNK : (number + 1) * PER_CHUNK])


def text_chunks(run: OpenRun) -> int:
    """Return the number of chunks of texts."""
    return -(-len(run.catalog) // PER_CHUNK)


def codes(site: Site, run: OpenRun, number: int) -> list[int]:
    """Return which value of a label column each image has; the last value is none."""
    numbers: list[int] = list(run.catalog.facets.values())[number].codes.tolist()
    return numbers


def columns(run: OpenRun) -> int:
    """Return the number of label columns."""
    return len(run.catalog.facets)


def ranks(site: Site, run: OpenRun, number: int) -> list[list[Any]]:
    """Return the ranks of the images, -1 for unknown, and the notes by rank."""
    numbers, notes = run.catalog.ranks(run.catalog.rank_names[number])
    return [numbers.tolist(), notes]


def all_ranks(run: OpenRun) -> int:
    """Return the number of ranks."""
    return len(run.catalog.rank_names)
