"""The gallery: all images as a grid, page by page."""

from src.browser.opened import OpenRun
from src.browser.site import Page, Parameters, Site

PER_PAGE = 100


def gallery_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return the page that `page` numbers from 1."""
    count = -(-len(run) // PER_PAGE)
    asked = parameters.get("page", "")
    number = min(max(int(asked), 1), count) if asked.isdecimal() and len(asked) < 9 else 1
    rows = range((number - 1) * PER_PAGE, min(number * PER_PAGE, len(run)))
    context = {"rows": rows, "number": number, "count": count, "total": len(run)}
    return Page("Gallery", "gallery.jinja", context)
