"""Time limit of tests that are not marked slow."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

SECONDS = 5.0  # of a test's call, without its fixtures


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


# The smaller of wall-clock and CPU time counts. If other programs keep the cores busy, a test takes
# longer by the clock alone; if threads compute side by side, it takes longer by CPU time alone.
# A test that waits for something else than a core passes here, up to pytest-timeout's limit.
@contextmanager
def budget(seconds: float) -> Iterator[None]:
    """Fail the test if the block takes longer, both by the clock and in CPU time."""
    start, cpu_start = monotonic(), cpu_seconds()
    yield
    took = min(monotonic() - start, cpu_seconds() - cpu_start)
    if took > seconds:
        pytest.fail(f"takes {took:.1f} s: mark it slow or make it faster", pytrace=False)
