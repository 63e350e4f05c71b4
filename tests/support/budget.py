"""How long a test may compute that is not marked slow."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

SECONDS = 5.0


def computed() -> float:
    """Return the seconds that this process and its children that have ended have computed."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


# Of a test's call alone: what fixtures of the session take is not the one test's that comes first.
# Where others keep the cores busy, a test waits longer and computes no longer: the clock alone
# would fail it by luck. Where threads compute side by side, the clock is what counts. A test that
# waits for something else than a core passes here, up to pytest-timeout's limit.
@contextmanager
def budget(seconds: float) -> Iterator[None]:
    """Fail the test when the block takes longer, by the clock and by what it computes."""
    began, before = monotonic(), computed()
    yield
    took = min(monotonic() - began, computed() - before)
    if took > seconds:
        pytest.fail(f"takes {took:.1f} s: mark it slow or make it faster", pytrace=False)
