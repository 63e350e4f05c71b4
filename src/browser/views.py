"""The views by the name of their page, in the order of the navigation."""

from typing import NamedTuple

from src.browser.gallery_view import gallery_view
from src.browser.painting_view import painting_view
from src.browser.query_view import query_view
from src.browser.site import View


class Entry(NamedTuple):
    """A view, its text in the navigation ("" if it is not there), and how an export writes it."""

    view: View
    text: str = ""
    per_row: bool = (
        False  # the page is about a row, and the bodies of all rows are data of the export
    )


VIEWS = {
    "gallery": Entry(gallery_view, "Gallery"),
    "painting": Entry(painting_view, per_row=True),
    "query": Entry(query_view, "Query"),
}

NAVIGATION = [(name, entry.text) for name, entry in VIEWS.items() if entry.text]
