"""Files that a run has left out, that it has read although they are damaged, and that are gone."""

import re
from functools import lru_cache

from src.browser.opened import OpenRun
from src.io.bounded import read_tail
from src.reporting.skipped_files import read_skipped

DAMAGED = re.compile(r"\[WARNING\] - (\d+) images are damaged, but were embedded$")
COUNTED = re.compile(r"\[WARNING\] -  +(\d+)  (.+)$")  # of one reason, with an example


@lru_cache(maxsize=64)
def skipped_files(run: OpenRun) -> list[tuple[str, str]]:
    """Return file and reason of the images that could not be read, in order.

    Raises UserError if the list is damaged, or was deleted with the features of the run.
    """
    folder = run.files.path / run.files.paths().get("embeddings", "")
    return read_skipped(folder, run.settings.get("escape_formulas", True))


def damaged_images(run: OpenRun) -> tuple[int, list[tuple[int, str]]]:
    """Return how many images were read although their files are damaged, and how many by reason.

    The log of a run that has embedded images tells it; of one that found them cached, 0.
    """
    path = run.files.path / "run.log"
    lines = read_tail(path).decode("utf-8", "replace").splitlines() if path.is_file() else []
    for at, line in enumerate(lines):
        if match := DAMAGED.search(line):
            reasons = []
            for below in lines[at + 1 :]:
                if not (counted := COUNTED.search(below)):
                    break
                reasons.append((int(counted[1]), counted[2]))
            return int(match[1]), reasons
    return 0, []


def files_gone(run: OpenRun) -> list[int]:
    """Return the rows of the images whose files are no longer there."""
    root = run.gallery.root
    return [row for row, file in enumerate(run.gallery.files) if not (root / file).is_file()]
