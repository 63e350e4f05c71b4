"""The map: all images as points, near each other where their features are alike."""

from typing import Any

from src.browser.opened import OpenRun
from src.browser.site import Page, Parameters, Site
from src.browser.umap_layout import INSTALL, is_installed

COLORS = 12  # of a legend, as in map_canvas.js
LAYOUTS = {"pca": "Principal components", "umap": "UMAP"}
SCRIPTS = ["map_points.js", "csv.js", "map_canvas.js", "map_select.js", "map_input.js"]
SCRIPTS += ["map_legend.js", "map.js"]


def map_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return the map in the layout that is asked for, pca or umap.

    A UMAP layout that is not there is begun, and meanwhile the page shows the other one.
    """
    layouts = run.layouts
    ready = layouts.ready()
    obstacle = "" if "pca" in ready else layouts.obstacle()
    is_waiting, note = False, ""
    if parameters.get("layout") == "umap" and "umap" not in ready and not obstacle:
        is_waiting, note = _umap_state(site, run)
    context: dict[str, Any] = {
        "obstacle": obstacle,
        "layouts": _offered(site, ready),
        "layout": parameters.get("layout") if parameters.get("layout") in ready else "pca",
        "ready": ready,
        "is_waiting": is_waiting,
        "note": note,
        "columns": list(run.labels),
        "color": first_color(run),
        "scripts": SCRIPTS,
    }
    return Page("Map", "map.jinja", context)


def first_color(run: OpenRun) -> str:
    """Return the label column that colors at first, "" if there is none.

    It is the first one of which each value has a color of its own, else artist.
    """
    few = [name for name, (values, _) in run.labels.items() if 2 <= len(values) <= COLORS]
    return next(iter([*few, *(name for name in run.labels if name == "artist"), *run.labels]), "")


def _offered(site: Site, ready: list[str]) -> dict[str, str]:
    """Return the layouts that a link leads to, with their names: in an export those it has."""
    return {name: text for name, text in LAYOUTS.items() if name in ready or not site.is_static}


def _umap_state(site: Site, run: OpenRun) -> tuple[bool, str]:
    """Return whether the UMAP layout is being computed, and what the page says about it."""
    if site.is_static:
        return False, "The UMAP layout was not computed before these pages were written."
    if run.layouts.failure:
        return False, f"There is no UMAP layout: {run.layouts.failure}."
    if not is_installed():
        return False, f"The UMAP layout needs umap-learn, which is not installed: {INSTALL}"
    seconds = run.layouts.begin_umap()
    return True, (
        f"The UMAP layout is being computed: about {seconds} seconds. This page then shows it by"
        " itself, and it is kept; until then, these are the principal components."
    )
