"""The gallery: all images as a grid, page by page; searched, filtered and sorted."""

from dataclasses import replace

from src.browser.opened import OpenRun
from src.browser.pages import page_of
from src.browser.selection import Selection, State, examples, read_state
from src.browser.site import Page, Parameters, Site
from src.reporting.text import counted

PER_PAGE = 100
SHOWN = 10  # values of a label column that are seen at once
SEARCHING = ["fold.js", "gallery_search.js"]  # scripts that do what the server does


def gallery_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return the page that an address asks for, the last one if it has fewer pages."""
    state, missing = read_state(parameters, run.catalog)
    selection = Selection(run.catalog, state)
    found, conditions = len(selection.images), selection.conditions
    page = page_of(found, PER_PAGE, parameters)
    state = replace(state, page=page.number)
    context = {
        "state": state,
        "filters": [field for field in state.fields() if field[0] not in ("q", "sort")],
        "missing": missing,
        "found": found,
        "found_text": _found_text(found, len(run.catalog), bool(conditions)),
        "cards": _cards(run, selection, page.shown),
        "addresses": _addresses(state, page.last),
        "page": page,
        "corrections": [m for m in selection.matches if m.instead or not m.rows.any()],
        "conditions": conditions,
        "ways_out": [] if found else selection.ways_out(),
        "examples": examples(run.catalog),
        "facets": [selection.facet(column) for column in run.catalog.facets],
        "shown": SHOWN,
        "orders": run.catalog.orders,
        "scripts": [*(SEARCHING if site.is_static else []), "gallery.js"],
    }
    return Page("Gallery", "gallery.jinja", context)


def _found_text(found: int, total: int, is_filtered: bool) -> str:
    images = counted(total, "image")
    return f"{f'{found:,}' if found else 'None'} of {images}" if is_filtered else images


def _cards(run: OpenRun, selection: Selection, shown: slice) -> list[tuple[int, str]]:
    """Return the rows of a page, each with the note below it."""
    order = run.catalog.orders[selection.state.sort]
    images = selection.images[shown].tolist()
    return [(int(run.catalog.rows[image]), run.catalog.note(image, order)) for image in images]


def _addresses(state: State, last: int) -> dict[str, str]:
    """Return the addresses of other pages, "" where there is none."""
    pages = {"first": 1, "previous": state.page - 1, "next": state.page + 1, "last": last}
    return {
        name: replace(state, page=page).address()
        if 1 <= page <= last and page != state.page
        else ""
        for name, page in pages.items()
    }
