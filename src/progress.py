"""Progress of long work."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

LOG_SECONDS = 30


def progress(items: Iterable[Any] | None, what: str, total: int, unit: str) -> "tqdm[Any]":
    """A bar with rate and time left; where nobody watches (a log file), a line every 30 seconds."""
    watched = sys.stderr.isatty()
    return tqdm(
        items,
        what,
        total,
        unit=unit,
        unit_scale=unit == "B",
        delay=1,
        mininterval=0.1 if watched else LOG_SECONDS,
    )
