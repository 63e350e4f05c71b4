"""Whatever happens while images are read, a run ends, soon and with one line."""

import re
from pathlib import Path

import psutil
import pytest

from tests.support.launchers import by_lightning, by_torchrun, options
from tests.support.loader_faults import FILE, run_with_fault

HANGS = f"no image was decoded for data.timeout=1 seconds while reading .*{FILE}.*: the disk or"


def words_of(paintings: Path, outputs: Path, workers: int, *more: str) -> list[str]:
    """Return the options of a run of batches of one image."""
    words = [word for word in options(paintings, outputs, 1) if "data.workers" not in word]
    return [*words, f"data.workers={workers}", *more]


@pytest.mark.parametrize(
    ("fault", "workers", "message"),
    [
        ("killed", 2, f"a process of data.workers was killed by SIGKILL while reading {FILE}: if"),
        ("segfault", 2, f"data.workers was killed by SIGSEGV while reading {FILE}: move the file"),
        ("exit 3", 2, f"a process of data.workers exited with 3 while reading {FILE}"),
        ("exit 0", 2, f"a process of data.workers exited with 0 while reading {FILE}"),
        ("stopped", 2, HANGS),
        ("hangs", 2, HANGS),
        ("hangs", 0, HANGS),
        ("hangs uninterruptibly", 2, HANGS),
        ("hangs uninterruptibly", 0, HANGS),
        ("open files", 2, f"{FILE}: Too many open files: raise the limit with ulimit -n, or lower"),
        ("open files", 0, f"{FILE}: Too many open files: raise the limit with ulimit -n, or lower"),
        ("memory", 1, f"{FILE}: too little memory to decode it: lower data.workers or"),
    ],
)
def test_a_run_whose_loader_fails_ends_with_one_line(
    fault, workers, message, paintings, fork, tmp_path
):
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    words = words_of(paintings, tmp_path / "o", workers, "data.timeout=1")
    run = fork(run_with_fault, fault, words)
    printed, _ = run.communicate(timeout=60)
    assert run.returncode == 1, printed
    (line,) = [line for line in printed.splitlines() if "error" in line.lower()]
    assert re.search(message, line), line
    assert "Traceback" not in printed and "Warning" not in printed
    left = psutil.Process().children(recursive=True)
    assert not [p for p in left if p.pid not in before and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [by_lightning, by_torchrun])
@pytest.mark.parametrize(
    ("fault", "workers", "message"), [("killed", 1, "killed by SIGKILL"), ("hangs", 0, HANGS)]
)
def test_if_the_loader_of_one_rank_fails_all_ranks_end(
    launcher, fault, workers, message, paintings, fork, tmp_path
):
    words = [*options(paintings, tmp_path / "o", 2), f"data.workers={workers}", "data.timeout=1"]
    faulty = {"FAULT": fault, "FAULTY_RANK": 1}
    (run,) = launcher(fork, "tests.support.loader_faults", 2, words, **faulty)
    printed, _ = run.communicate(timeout=60)
    assert run.returncode != 0
    assert len(re.findall(f"error: .*{message}", printed)) == 1, printed
    assert not re.search(r"Traceback \(most recent call last\):\n  File .*src/", printed), printed
