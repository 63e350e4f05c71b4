"""Neighbors of any image: one that is sent to the server, or a detail of one of the gallery."""

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich import filesize

from src.browser.opened import OpenRun
from src.browser.painting_view import lowest_shown
from src.browser.query_run import Asked, answerer
from src.browser.site import NotThere, Page, Parameters, Site, row_of
from src.browser.uploads import MAX_BYTES, kept_image
from src.config.overrides import shell_join
from src.embedding.crop import Crop, parse_crop
from src.errors import UserError, did_you_mean
from src.io.unreadable import Unreadable
from src.reporting.terminal import from_here

COUNTS = (20, 50, 100, 200)  # neighbors to choose from
MAX_LISTED = 1000  # values of labels that are suggested while typing


class Question(NamedTuple):
    """What is asked: an image, the part of it, how many neighbors, and which ones."""

    asked: Asked
    crop: Crop
    k: int
    only: str  # "column: value", "" for all images

    def label(self, run: OpenRun) -> tuple[str, str] | None:
        """Return column and value that neighbors must have. Raises UserError if none has it."""
        if not self.only:
            return None
        known = labels_by_text(run)
        if self.only not in known:
            hint = did_you_mean(self.only, known) or "; write it as column: value"
            raise UserError(f"no image has {self.only}{hint}")
        return known[self.only]


def query_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return the page that asks for an image, and shows the neighbors of `image` or `row`.

    `crop` is the part of it, `k` and `only` choose neighbors. Raises NotThere for parameters that
    name nothing.
    """
    context: dict[str, Any] = {
        "scripts": ["query.js"],
        "commands": _commands(site, run),
        "max_bytes": MAX_BYTES,
        "limit": filesize.decimal(MAX_BYTES),
        "counts": COUNTS,
        "suggested": list(labels_by_text(run))[:MAX_LISTED],
        "question": None,
        "picture": "",
        "neighbors": [],
        "problem": "",
        "lowest": lowest_shown(run),
    }
    if not site.is_static and (question := _question(site, run, parameters)) is not None:
        context |= {"question": question, "picture": _picture(run, question.asked)}
        context |= _answer(site, run, question)
    return Page("Query", "query.jinja", context)


def _question(site: Site, run: OpenRun, parameters: Parameters) -> Question | None:
    """Return what an address asks, None if it asks nothing. Raises NotThere."""
    checksum = parameters.get("image", "")
    if checksum:
        kept_image(site.outputs, checksum)
        asked = Asked(checksum)
    elif "row" in parameters:
        asked = Asked("", row_of(run, parameters))
    else:
        return None
    try:
        crop = parse_crop(parameters.get("crop", ""))
    except UserError as error:
        raise NotThere(str(error)) from error
    given = parameters.get("k", "")
    k = int(given) if given in map(str, COUNTS) else COUNTS[0]
    return Question(asked, crop, k, parameters.get("only", "").strip())


def _answer(site: Site, run: OpenRun, question: Question) -> dict[str, Any]:
    """Return the neighbors, or in one sentence why there are none."""
    try:
        label = question.label(run)
        found = answerer(run, site.outputs).nearest(
            question.asked, question.crop, question.k, label
        )
    except NotThere:
        raise
    except Unreadable as reason:
        return {"problem": f"The image cannot be read: {reason}"}
    except (UserError, OSError) as error:
        return {"problem": f"{str(error)[:1].upper()}{str(error)[1:]}"}
    return {"neighbors": found}


def _picture(run: OpenRun, asked: Asked) -> str:
    """Return the address of the picture that is asked about, relative to a page of the run."""
    return f"../queries/{asked.checksum}.jpg" if asked.checksum else run.picture(asked.row)


@lru_cache(4)
def labels_by_text(run: OpenRun) -> dict[str, tuple[str, str]]:
    """Return column and value of each label by "column: value", frequent ones first."""
    counts = Counter[tuple[str, str]]()
    for column, (values, codes) in run.labels.items():
        times = np.bincount(codes[codes >= 0], minlength=len(values)).tolist()
        counts.update({(column, value): n for value, n in zip(values, times, strict=True)})
    return {f"{column}: {value}": (column, value) for (column, value), _ in counts.most_common()}


def _commands(site: Site, run: OpenRun) -> dict[str, str]:
    """Return how to ask where no server runs: with a server of one's own, or without any."""
    path = run.files.path
    folder = _below_outputs(path) if site.is_static else str(from_here(path))
    return {
        "browse": shell_join(["python", "-m", "src.browse", folder, "--open"]),
        "query": shell_join(["python", "-m", "src.query", "painting.jpg", "--run", folder]),
    }


def _below_outputs(folder: Path) -> str:
    """Return the path of a run as from the folder of outputs: an export tells no more of a disk."""
    parts = folder.absolute().parts
    for name in ("runs", "sweeps"):
        if name in parts[1:]:
            at = len(parts) - 1 - parts[::-1].index(name)
            return "/".join(parts[max(1, at - 1) :])
    return folder.name
