"""Progress bars, and the wall-clock time of the stages of a run."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

from tqdm import tqdm

LOG_SECONDS = 9  # between two lines if stderr is not a terminal
LOG_FORMAT = (
    "{desc}: {percentage:.0f}%, {n_fmt} of {total_fmt}{unit} [{elapsed}<{remaining}, {rate_fmt}"
    "{postfix}]"
)
DELAY = 1.0  # seconds without a word: shorter work needs no bar
T = TypeVar("T")


class Watch(Protocol):
    """Goes through the items of a long step, and may show how many of them are done.

    tqdm is one.
    """

    def __call__(self, items: Iterable[T], description: str, total: int, /) -> Iterable[T]:
        """Return the items, in order, to be gone through once."""


def unwatched(items: Iterable[T], description: str, total: int, /) -> Iterable[T]:
    """Return the items: the Watch of a function that is called by other programs."""
    return items


class LogLines(tqdm):  # type: ignore[type-arg]
    """A progress bar for a log file: lines, the last of them at the end."""

    _instances: WeakSet[Any] = WeakSet()  # apart from the bars that tqdm.write() draws again

    def display(self, *_: object) -> None:
        """Write the state as a line."""
        self.fp.write(f"{self}\n")
        self.fp.flush()

    def close(self) -> None:
        """Write the last line, unless it is written already or all was done within DELAY."""
        is_written = self.disable or self.n == self.last_print_n
        if not is_written and self.format_dict["elapsed"] >= DELAY:
            self.display()
        super().close()


def progress(
    items: Iterable[Any] | None,
    description: str,
    total: int,
    unit: str = " steps",
    shown: bool = True,
) -> "tqdm[Any]":
    """Return a progress bar over items, or for manual updates if items is None.

    It shows the rate and the remaining time; if stderr is not a terminal, it is a line after DELAY,
    one every LOG_SECONDS and one at the end. The unit "B" is for bytes, scaled to kB and MB.
    """
    options: dict[str, Any] = {"mininterval": LOG_SECONDS, "bar_format": LOG_FORMAT}
    options |= {"gui": True, "smoothing": 0}  # display alone writes; the rate is that of all items
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if is_terminal:
        options = {"mininterval": 0.1}
        if not os.get_terminal_size(sys.stderr.fileno()).columns:  # unknown: tqdm shows nothing
            options |= {"ncols": 80, "nrows": 24}
    bar: tqdm[Any] = (tqdm if is_terminal else LogLines)(
        items,
        description,
        total,
        unit=unit,
        unit_scale=unit == "B",
        disable=not shown,
        delay=DELAY,
        miniters=1,  # looks at the clock after each item, however fast those before were
        **options,
    )
    if shown and not is_terminal:
        bar.last_print_t += DELAY - LOG_SECONDS  # the first line is due after DELAY
    return bar


class Clock:
    """Measures stages: `with clock("embed"): ...` sets seconds["seconds/embed"]."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}  # by name in metrics.json, wall-clock seconds
        self._start = time.perf_counter()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Measure the block; nothing is recorded if it raises."""
        start = time.perf_counter()
        yield
        self.seconds[f"seconds/{stage}"] = time.perf_counter() - start

    def elapsed(self) -> float:
        """Return the wall-clock seconds since the clock was made."""
        return time.perf_counter() - self._start
