"""Bars on a terminal, lines in a log file: no long step is silent."""

import io
import os
import pty
from collections.abc import Iterator

import pytest

from src.runtime import progress
from src.runtime.progress import unwatched


class TimedLog(io.StringIO):
    """A log file that knows when each line was written, by a clock that a test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1e9
        self.times: list[float] = []

    def write(self, text: str) -> int:
        """Note the time of a line."""
        self.times += [self.now] * text.count("\n")
        return super().write(text)

    def steps(self, *seconds: float) -> Iterator[int]:
        """Yield a number for each step, which takes that many seconds."""
        for number, duration in enumerate(seconds):
            yield number
            self.now += duration


def log_file(monkeypatch: pytest.MonkeyPatch) -> TimedLog:
    """Return what takes the place of stderr in a test; the bars go by its clock."""
    log = TimedLog()
    monkeypatch.setattr("sys.stderr", log)
    monkeypatch.setattr("tqdm.std.time", lambda: log.now)
    return log


@pytest.mark.parametrize(
    "seconds",
    [[0.5] * 200, [0.001] * 5000 + [1] * 40, [12] * 5, [4.0] * 4, [2.0]],
    ids=["steady", "slower and slower", "longer than a line's time", "half a minute", "short"],
)
def test_a_log_file_is_never_silent_for_long(
    seconds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_file(monkeypatch)
    began = log.now
    assert progress.LOG_SECONDS < 10
    bar = progress.progress(log.steps(*seconds), "comparing", len(seconds), " tiles")
    assert list(bar) == list(range(len(seconds)))
    times = [began, *log.times, log.now]
    gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert max(gaps) <= progress.LOG_SECONDS + max(seconds)
    assert log.times[0] - began <= progress.DELAY + max(seconds)
    assert len(log.times) <= sum(seconds) / progress.LOG_SECONDS + 3
    *_, last = log.getvalue().splitlines()
    assert last.startswith(f"comparing: 100%, {len(seconds)} of {len(seconds)} tiles [")
    assert "\r" not in log.getvalue() and "\n\n" not in log.getvalue()


def test_short_work_and_other_ranks_write_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_file(monkeypatch)
    list(progress.progress(log.steps(0.2, 0.2), "scoring", 2))
    list(progress.progress(log.steps(60, 60), "scoring", 2, shown=False))
    with progress.progress(None, "embedding", 5, shown=False) as bar:
        bar.update(5)
    assert list(unwatched(log.steps(60), "scoring", 1)) == [0]
    assert log.getvalue() == ""


def test_work_of_unknown_size_is_shown_too(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_file(monkeypatch)
    for total in (None, 0):
        with progress.progress(None, "table.csv", total, "B") as bar:  # type: ignore[arg-type]
            for _ in log.steps(20, 20):
                bar.update(3_000_000)
    assert log.getvalue().count("table.csv: ") == log.getvalue().count("6.00M") == 2


def test_a_terminal_that_does_not_know_its_width_shows_a_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = pty.openpty()  # without a size
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setattr(progress, "DELAY", 0)
        list(progress.progress(range(3), "comparing", 3))
    assert b"comparing: 100%" in os.read(ours, 10_000)
    os.close(ours)
