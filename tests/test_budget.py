"""A test that takes too long fails, unless it is marked slow or only waits."""

import pytest

from tests.support import budget

pytest_plugins = "pytester"

HOOK = """
import pytest
from tests.support import budget
from tests.conftest import pytest_runtest_call
budget.SECONDS = 0.2
def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long")
"""
TESTS = """
import subprocess, sys, time, pytest
BUSY = "import time\\nwhile time.process_time() < 0.4: pass"
@pytest.fixture(scope="module")
def late():
    compute()
def compute():
    end = time.process_time() + 0.4
    while time.process_time() < end: pass
def test_quick(late): pass
def test_busy(): compute()
def test_busy_child(): subprocess.run([sys.executable, "-c", BUSY])
def test_waits(): time.sleep(0.3)
def test_wrong(): compute(); assert False
@pytest.mark.slow
def test_slow(): compute()
"""


def test_a_test_that_takes_too_long_is_told_so(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "SECONDS", budget.SECONDS)
    pytester.makeconftest(HOOK)
    pytester.makepyfile(TESTS)
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist")
    done.assert_outcomes(passed=3, failed=3)
    told = r"takes \d\.\d s: mark it slow or make it faster"
    done.stdout.re_match_lines(["_+ test_busy _+", told, "_+ test_busy_child _+", told])


def spend_budget(cpu: float, clock: float) -> None:
    """Spend a budget of 5 s in a block that seems to take these seconds."""
    cpu_times, clock_times = iter((1.0, 1 + cpu)), iter((0.0, clock))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "cpu_seconds", lambda: next(cpu_times))
        patch.setattr(budget, "monotonic", lambda: next(clock_times))
        with budget.budget(5):
            pass


def test_what_is_computed_counts_where_others_keep_the_cores_busy() -> None:
    spend_budget(4.9, clock=60)
    with pytest.raises(pytest.fail.Exception, match="takes 6.1 s: mark it slow or make it faster"):
        spend_budget(6.1, clock=60)


def test_the_clock_counts_where_threads_compute_side_by_side() -> None:
    spend_budget(9, clock=4.9)
    with pytest.raises(pytest.fail.Exception, match="takes 6.1 s: mark it slow or make it faster"):
        spend_budget(9, clock=6.1)
