"""Progress bars, and the wall-clock time of the stages of a run."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

LOG_SECONDS = 30  # between two lines if stderr is not a terminal


def progress(
    items: Iterable[Any] | None, description: str, total: int, unit: str, shown: bool = True
) -> "tqdm[Any]":
    """Return a progress bar over items, or for manual updates if items is None.

    It shows the rate and the remaining time; if stderr is not a terminal, one line every 30 s. The
    unit "B" is for bytes, which are scaled to kB and MB.
    """
    return tqdm(
        items,
        description,
        total,
        unit=unit,
        unit_scale=unit == "B",
        disable=not shown,
        delay=1,
        mininterval=0.1 if sys.stderr.isatty() else LOG_SECONDS,
    )


class Clock:
    """Measures stages: `with clock("embed"): ...` sets seconds["seconds/embed"]."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}  # by name in metrics.json, wall-clock seconds

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Measure the block; nothing is recorded if it raises."""
        start = time.perf_counter()
        yield
        self.seconds[f"seconds/{stage}"] = time.perf_counter() - start
