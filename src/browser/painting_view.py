"""A painting and its neighbors."""

from src.browser.opened import OpenRun
from src.browser.site import Page, Parameters, Site, row_of


def painting_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return the painting in `row` with its neighbors, best first. Raises NotThere."""
    row = row_of(run, parameters)
    neighbors = list(zip(run.index[row].tolist(), run.score[row].tolist(), strict=True))
    context = {"row": row, "neighbors": neighbors}
    return Page(run.caption(row).title, "painting.jinja", context)
