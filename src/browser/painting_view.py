"""A painting: what is known of it, its neighbors, and why they are near."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.browser import about, why
from src.browser.addresses import PREFIX, page_address
from src.browser.filters import (
    ONLY_TEXTS,
    Neighbor,
    Select,
    Wanted,
    counts,
    default_count,
    distinct_labels,
    find,
    possible_only,
    read_wanted,
    selects,
    value_of,
)
from src.browser.judging import judging
from src.browser.manifest import has_manifest, manifest_address
from src.browser.opened import OpenRun
from src.browser.run_search import is_augmented
from src.browser.site import Page, Parameters, Site, row_of
from src.browser.static_lists import listed
from src.reporting.phrases import describe_order

COLORS = 8  # of labels that images share: the classes share-0 to share-7


class Card(NamedTuple):
    """A neighbor as it is shown."""

    row: int
    score: float
    shared: list[tuple[int, str]]  # color and column of each label that both images have; in an
    # export painting.js tells them from `labels`, which saves a tenth of all bytes
    lists: str = ""  # in an export: those that it is in besides the run's own
    is_hidden: bool = False  # in an export: it is not in the run's own list
    labels: str = ""  # in an export: the place of its value in each select, 1 for a shared one


def painting_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return the painting in `row` with the neighbors that `only`, labels and `k` choose.

    In an export it has those of all lists, of which painting.js shows what the address asks for.
    Raises NotThere.
    """
    row = row_of(run, parameters)
    wanted = read_wanted(run, {} if site.is_static else parameters)
    context: dict[str, Any] = {
        "row": row,
        "wanted": wanted,
        "scripts": ["painting.js"] if site.is_static else ["painting.js", "judge.js"],
        "judging": None if site.is_static else judging(site, run, row),
        "counts": counts(run),
        "only": _only_choices(run, row, wanted),
        "prefix": PREFIX,
        "order": describe_order(run.settings),
        "lowest": lowest_shown(run),
        "legend": _legend(run, row),
        "details": about.details(run, row),
        "file_facts": about.file_facts(run, row),
        "links": about.links(run, row),
        "quality": about.quality(run, row),
        "reverse": about.neighbor_of(run, row),
        "around": _around(run, row),
    }
    context |= _listed(run, row) if site.is_static else _found(run, row, wanted)
    cards = context["cards"]
    # its URIs begin with the server's address, and an export does not know its own
    has_one = not site.is_static and has_manifest(run, [row, *(card.row for card in cards)])
    context["manifest"] = manifest_address(run, row, wanted) if has_one else ""
    context["why"] = _why(run, row, [(card.row, card.score) for card in cards])
    return Page(run.caption(row).title, "painting.jinja", context)


def _only_choices(run: OpenRun, row: int, wanted: Wanted) -> list[tuple[str, str, str]]:
    """Return key, text and address of each choice of other artists or objects; [] without one."""
    texts = {"": "all images"} | {key: ONLY_TEXTS[key] for key in possible_only(run)}
    if len(texts) == 1:
        return []
    default = default_count(run)
    return [
        (key, text, page_address("painting", row=row, **wanted.parameters(key, default)))
        for key, text in texts.items()
    ]


def _found(run: OpenRun, row: int, wanted: Wanted) -> dict[str, Any]:
    """Return the neighbors that were asked for, and the values to choose from."""
    found = find(run, row, wanted)
    cards = [Card(*neighbor, _shared(run, row, neighbor[0])) for neighbor in found.neighbors]
    return {"found": found, "cards": cards, "selects": selects(run, row, wanted)}


def _listed(run: OpenRun, row: int) -> dict[str, Any]:
    """Return the neighbors in all lists, and of each label the values that they have."""
    own = {column: value_of(run, row, column) for column in distinct_labels(run)}
    chosen = {column: [value] if value else [] for column, value in own.items()}
    cards = list[Card]()
    for entry in listed(run, row):
        places = list[str]()
        for column in own:
            value, known = value_of(run, entry.row, column), chosen[column]
            if value and value not in known:
                known.append(value)
            places.append(str(known.index(value) + 1) if value else "")
        lists, is_hidden = " ".join(filter(None, entry.lists)), "" not in entry.lists
        cards.append(Card(entry.row, entry.score, [], lists, is_hidden, ",".join(places)))
    choices = [
        Select(column, own[column], known[1:] if own[column] else known)
        for column, known in chosen.items()
    ]
    return {"found": None, "cards": cards, "selects": choices}


def _shared(run: OpenRun, row: int, other: int) -> list[tuple[int, str]]:
    """Return color and name of each label column in which two images have the same value."""
    return [
        (place % COLORS, column.replace("_", " "))
        for place, column in enumerate(distinct_labels(run))
        if (code := run.labels[column].codes[row]) >= 0 and code == run.labels[column].codes[other]
    ]


def lowest_shown(run: OpenRun) -> float:
    """Return where the bars of scores begin: at the mean cosine of all pairs, if it is positive."""
    mean = run.metrics.get("inter")
    return max(0.0, round(mean, 2)) if isinstance(mean, float) else 0.0


def _legend(run: OpenRun, row: int) -> list[tuple[int, str, str]]:
    """Return color, name and value of each label that the image has."""
    return [
        (place % COLORS, column.replace("_", " "), value)
        for place, column in enumerate(distinct_labels(run))
        if (value := value_of(run, row, column))
    ]


def _why(run: OpenRun, row: int, neighbors: list[Neighbor]) -> dict[str, Any]:
    """Return the names of the layers to compare by, and a line for each neighbor."""
    is_raw = run.settings.get("similarity.postprocess", "none") == "none" and not is_augmented(run)
    own = Path(run.files.paths().get("embeddings", "")).name
    # the score itself is the cosine of the run's own layer, unless its rows were changed
    layers = [layer for layer in why.layers_of(run) if not (is_raw and layer.name == own)]
    rows = [other for other, _ in neighbors]
    columns = [why.pairs(run, layer, row, rows) for layer in layers]
    lines = [[column[at] for column in columns] for at in range(len(rows))]
    return {"layers": [layer.name for layer in layers], "lines": lines}


def _around(run: OpenRun, row: int) -> dict[str, int | None]:
    """Return the images before and after one, of those that have a page."""
    at = int(np.searchsorted(run.rows, row))
    after = at + 1 if at < len(run.rows) and run.rows[at] == row else at
    return {
        "prev": int(run.rows[at - 1]) if at else None,
        "next": int(run.rows[after]) if after < len(run.rows) else None,
    }
