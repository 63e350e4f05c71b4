"""The paintings about which two runs disagree most, and those that gain or lose most."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.browser.compare_view import command, letter_of
from src.browser.disagreement import (
    ORDERS,
    Disagreement,
    comparable_runs,
    disagreement,
    ordered_rows,
    precision_of,
    why_left_out,
)
from src.browser.opened import OpenRun
from src.browser.pages import Pages, page_of
from src.browser.site import Page, Parameters, Site
from src.reporting.text import format_number

PER_PAGE = 50
WRITTEN, WRITTEN_MORE = 200, 50  # paintings of a list in an export: of the first pair, of others


class Line(NamedTuple):
    """A painting of a list."""

    row: int
    shared: int
    before: str  # average precision in the first run, "" if unknown
    after: str


class Listed(NamedTuple):
    """The paintings of two runs in an order."""

    other: OpenRun
    order: str  # one of ORDERS
    lines: list[Line]
    pages: Pages


def disagreements_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return a list of the paintings of a run and another one, `with`, in the order `by`."""
    others = [other for other in comparable_runs(run, site.runs) if other is not run]
    context = {
        "others": others,
        "left_out": why_left_out(run, site.runs),
        "command": command(site, run),
        "orders": ORDERS,
        "letter_of": letter_of,
        "scripts": ["lists.js"],
    }
    if not others:
        return Page("Compare runs", "disagreements.jinja", context)
    asked = [other for other in others if str(other.number) == parameters.get("with")]
    other, order = (asked or others)[0], parameters.get("by", "")
    order = order if order in ORDERS else ""
    lists = [listed(run, other, order, parameters)]
    if site.is_static:
        lists = written_lists(run, others)
    shown = dict.fromkeys(part.other for part in lists)
    context |= {
        "lists": lists,
        "summaries": {there.number: summary(run, there) for there in shown},
        "bars": {there.number: bars(disagreement(run, there)) for there in shown},
        "label": precision_of(run).label,
    }
    return Page("Compare runs", "disagreements.jinja", context)


def listed(
    run: OpenRun, other: OpenRun, order: str, parameters: Parameters, per_page: int = PER_PAGE
) -> Listed:
    """Return the page of a list that `page` numbers."""
    rows, (_, shared, _) = ordered_rows(run, other, order), disagreement(run, other)
    pages = page_of(len(rows), per_page, parameters)
    before, after = precision_of(run).values, precision_of(other).values
    lines = [
        Line(row, int(shared[row]), format_number(before[row]), format_number(after[row]))
        for row in rows[pages.shown].tolist()
    ]
    return Listed(other, order, lines, pages)


def written_lists(run: OpenRun, others: Sequence[OpenRun]) -> list[Listed]:
    """Return the starts of all lists: a script shows the one that the address names."""
    return [
        listed(run, other, order, {}, WRITTEN if other is others[0] else WRITTEN_MORE)
        for other in others
        for order in ORDERS
    ]


def summary(run: OpenRun, other: OpenRun) -> list[str]:
    """Return sentences about what two runs share."""
    found = disagreement(run, other)
    none, every = (np.count_nonzero(found.shared == count) for count in (0, found.k))
    lines = [
        f"Of {found.k} neighbors, {found.shared.mean():.1f} are in both lists on average (Jaccard"
        f" index {found.jaccard.mean():.3f}). {none} of {len(run)} paintings have none in common,"
        f" {every} have all."
    ]
    if (known := found.gain[~np.isnan(found.gain)]).size:
        gains, losses = np.count_nonzero(known > 0), np.count_nonzero(known < 0)
        lines.append(
            f"From {letter_of(run)} to {letter_of(other)}, the average precision of"
            f" {precision_of(run).label} rises for {gains} paintings, falls for {losses} and stays"
            f" for {known.size - gains - losses}; its mean changes by {known.mean():+.3f}."
        )
    return lines


def bars(found: Disagreement) -> list[tuple[int, int, float]]:
    """Return by number of shared neighbors the paintings, and the height of their bar up to 100."""
    counts = np.bincount(found.shared, minlength=found.k + 1)
    heights = 100 * counts / counts.max()
    return list(zip(range(found.k + 1), counts.tolist(), heights.round(1).tolist(), strict=True))
