"""The views by the name of their page, in the order of the navigation."""

from typing import NamedTuple

from src.browser.compare_view import compare_view
from src.browser.disagreements_view import disagreements_view
from src.browser.duplicates_view import duplicates_view
from src.browser.gallery_view import gallery_view
from src.browser.hubs_view import hubs_view
from src.browser.map_view import map_view
from src.browser.painting_view import painting_view
from src.browser.query_view import query_view
from src.browser.runs_view import runs_view
from src.browser.site import View
from src.browser.skipped_view import skipped_view


class Entry(NamedTuple):
    """A view, its text in the navigation ("" if it is not there), and how an export writes it."""

    view: View
    text: str = ""
    # The page is about a row, and the bodies of all rows are data of the export
    per_row: bool = False
    of_several: bool = False  # it sets runs side by side: an export of a single run has none


VIEWS = {
    "gallery": Entry(gallery_view, "Gallery"),
    "painting": Entry(painting_view, per_row=True),
    "map": Entry(map_view, "Map"),
    "query": Entry(query_view, "Query"),
    "disagreements": Entry(disagreements_view, "Compare"),
    "compare": Entry(compare_view, per_row=True, of_several=True),
    "hubs": Entry(hubs_view, "Hubs"),
    "duplicates": Entry(duplicates_view, "Near-duplicates"),
    "skipped": Entry(skipped_view, "Skipped files"),
    "runs": Entry(runs_view, "Runs"),
}

NAVIGATION = [(name, entry.text) for name, entry in VIEWS.items() if entry.text]
