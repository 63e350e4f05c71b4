"""Progress of long work, and the time it takes."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

LOG_SECONDS = 30


def progress(
    items: Iterable[Any] | None, what: str, total: int, unit: str, shown: bool = True
) -> "tqdm[Any]":
    """A bar with rate and time left; where nobody watches (a log file), a line every 30 seconds."""
    watched = sys.stderr.isatty()
    return tqdm(
        items,
        what,
        total,
        unit=unit,
        unit_scale=unit == "B",
        disable=not shown,
        delay=1,
        mininterval=0.1 if watched else LOG_SECONDS,
    )


class Clock:
    """Seconds that each stage took, under the names of metrics.json."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time the block."""
        start = time.perf_counter()
        yield
        self.seconds[f"seconds/{stage}"] = time.perf_counter() - start
