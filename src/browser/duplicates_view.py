"""Near-duplicates: groups of almost equal images, by a threshold that moves."""

import math
from typing import NamedTuple

import numpy as np

from src.browser.duplicates import DIGITS, KINDS, Group, NearPairs, groups_of, near_pairs
from src.browser.opened import OpenRun
from src.browser.site import Page, Parameters, Site

MAX_GROUPS, MAX_IMAGES, MAX_PAIRS = 50, 24, 40  # that are shown; the last two of a group
DEFAULT = 0.98  # threshold of runs that do not tell theirs


class Shown(NamedTuple):
    """A group as it is shown."""

    rows: list[int]  # at most MAX_IMAGES
    more: int  # images that are not shown
    pairs: list[tuple[int, int, float, str]]  # places in the group from 1, score, what they share
    more_pairs: int


def duplicates_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return the groups of images whose pairs score at least `from`.

    With `objects` "hide", pairs of views of one object join no groups.
    """
    pairs, threshold = near_pairs(run), threshold_of(run, parameters.get("from", ""))
    hides_objects = parameters.get("objects") == "hide"
    kept = pairs.scores >= threshold - 0.5 * 10**-DIGITS
    kept &= (pairs.kinds != 1) | (not hides_objects)
    numbers = np.flatnonzero(kept)
    groups = groups_of(pairs.rows[numbers])
    context = {
        "pairs": pairs,
        "threshold": threshold,
        "digits": DIGITS if pairs.step < 0.001 else 3,
        "hides_objects": hides_objects,
        "has_objects": bool((pairs.kinds == 1).any()),
        "found": len(numbers),
        "groups": [shown(pairs, group, numbers.tolist()) for group in groups[:MAX_GROUPS]],
        "count": len(groups),
        "images": sum(len(group.rows) for group in groups),
        "kinds": KINDS,
        "limits": (MAX_GROUPS, MAX_IMAGES, MAX_PAIRS),
        "scripts": ["csv.js", "duplicates.js"],
    }
    return Page("Near-duplicates", "duplicates.jinja", context)


def threshold_of(run: OpenRun, text: str) -> float:
    """Return the threshold of an address, else that of the run, within what can be grouped."""
    try:
        asked = float(text)
    except ValueError:
        asked = math.nan
    if not math.isfinite(asked):
        default = run.settings.get("evaluation.near_duplicate", DEFAULT)
        asked = float(default) if isinstance(default, int | float) else DEFAULT
    return round(min(max(asked, near_pairs(run).floor), 1.0), DIGITS)


def shown(pairs: NearPairs, group: Group, numbers: list[int]) -> Shown:
    """Return a group as it is shown; its pairs are places in numbers, which number all pairs."""
    places = {row: place for place, row in enumerate(group.rows, 1)}
    joined = []
    for number in (numbers[place] for place in group.pairs[:MAX_PAIRS]):
        first, second = pairs.rows[number].tolist()
        kind = KINDS[pairs.kinds[number]]
        joined.append((places[first], places[second], float(pairs.scores[number]), kind))
    rows = group.rows
    return Shown(
        rows[:MAX_IMAGES],
        max(0, len(rows) - MAX_IMAGES),
        joined,
        max(0, len(group.pairs) - MAX_PAIRS),
    )
