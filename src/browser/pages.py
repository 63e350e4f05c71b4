"""A long list, page by page."""

from typing import NamedTuple

from src.browser.site import Parameters


class Pages(NamedTuple):
    """Which page of a list is shown."""

    number: int  # from 1
    last: int  # number of the last page, at least 1
    total: int  # entries of the list
    per_page: int

    @property
    def shown(self) -> slice:
        """Return the entries of this page."""
        return slice((self.number - 1) * self.per_page, self.number * self.per_page)


def page_of(total: int, per_page: int, parameters: Parameters) -> Pages:
    """Return the page that `page` of an address numbers from 1, the nearest there is.

    >>> page_of(120, 50, {"page": "3"}).shown, page_of(120, 50, {"page": "-1"}).number
    (slice(100, 150, None), 1)
    """
    last, asked = max(1, -(-total // per_page)), parameters.get("page", "")
    is_number = asked.isascii() and asked.isdecimal() and len(asked) < 9
    return Pages(min(max(int(asked), 1), last) if is_number else 1, last, total, per_page)
