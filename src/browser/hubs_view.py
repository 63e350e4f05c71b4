"""Hubs: the images that are in most lists of neighbors, and those that are in none."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from src.browser.opened import OpenRun
from src.browser.pages import page_of
from src.browser.site import Page, Parameters, Site
from src.evaluation.hubness import neighborhood_metrics
from src.evaluation.retrieval import Metrics

PER_PAGE = 60
WRITTEN = 200  # images of a list in an export
EVEN, STRONG = 0.5, 1.5  # skewness up to which images occur evenly, and from which few dominate


def hubs_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return a page of the hubs, or of the images in no list if `list` is "never"."""
    names = ["", "never"]
    asked = [name for name in names if name == parameters.get("list")]
    per_page = WRITTEN if site.is_static else PER_PAGE
    lists = []
    for name in names if site.is_static else asked or names[:1]:
        rows = ordered_images(run)[name]
        pages = page_of(len(rows), per_page, parameters)
        lists.append((name, rows[pages.shown].tolist(), pages))
    facts = metrics_of(run)
    context = {
        "lists": lists,
        "names": {"": "Hubs", "never": "In no list"},
        "k": run.index.shape[1],
        "most": int(run.occurrence.max()),
        "hubness": facts["hubness"],
        "evenness": describe_hubness(facts["hubness"]),
        "orphans": facts["orphans"],
        "remedies": remedies(run),
        "scripts": ["lists.js"],
    }
    return Page("Hubs", "hubs.jinja", context)


@lru_cache(maxsize=64)
def metrics_of(run: OpenRun) -> Metrics:
    """Return what evaluation says about the lists of a run, of all its images."""
    return neighborhood_metrics(run.index)


@lru_cache(maxsize=64)
def ordered_images(run: OpenRun) -> dict[str, NDArray[np.int64]]:
    """Return the images in lists, those in most first, and as "never" the ones in none."""
    rows = run.rows[np.argsort(-run.occurrence[run.rows], kind="stable")]
    count = np.count_nonzero(run.occurrence[rows])
    return {"": rows[:count], "never": rows[count:]}


def describe_hubness(skewness: float) -> str:
    """Return in words how unevenly images occur in lists.

    >>> describe_hubness(0.1), describe_hubness(4)
    ('nearly even', 'a few images crowd the lists')
    """
    if not skewness > EVEN:  # also NaN, where all occur equally often
        return "nearly even"
    return "somewhat uneven" if skewness < STRONG else "a few images crowd the lists"


def remedies(run: OpenRun) -> list[tuple[str, str]]:
    """Return what may reduce hubs, with the option that does it, unless the run has it already."""
    known = {
        "similarity.ranking=csls": "Order neighbors by csls, which puts hubs later.",
        "similarity.postprocess=whiten": "Whiten the features, which evens out their directions.",
    }
    return [
        (text, option)
        for option, text in known.items()
        if run.settings.get(option.partition("=")[0]) != option.partition("=")[2]
    ]
