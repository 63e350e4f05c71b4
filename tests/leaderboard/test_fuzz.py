"""Mutated journals and run folders: read, or refused by the program's own errors, within bounds."""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from src.downloader.errors import Failure, Outcome
from src.downloader.journal import failure_record, open_journal, read_journal
from src.embedding.row_files import DoneRows
from src.errors import UserError
from src.leaderboard.runs import read_runs
from src.runtime.processes import SINGLE_PROCESS
from src.runtime.resume import DoneTiles
from tests.support.made_runs import N, random_neighbors, write_multirun, write_run
from tests.support.peak import peak_kilobytes, reset_peak

SECONDS = 2.5  # for each file
MAX_GROWTH = 300_000  # kB of memory
MAX_SECONDS = 3.0  # for each mutation, on a busy machine
# What parsers trip over: brackets, numbers, names with a meaning, headers, byte order marks
TOKENS = [
    *(b"[", b"{", b"]", b"}", b"- ", b": ", b"? ", b"&a ", b"*a", b"<<: *a", b"!!python/name:os "),
    *(b"[" * 2000, b"{a: " * 500, b"- " * 500, b"-1", b"1e999", b"NaN", b"null", b"true", b"''"),
    *(b"9" * 5000, b"0x", b"2026-99-99", b"1:2:3", b"${a}", b"range(0,40000000)", b"glob(*)"),
    *(b"(1099511627776,)", b"'|O'", b"'<f8'", b"fortran", b"PK\3\4", b"PK\1\2", b"PK\5\6"),
    *(b"\xff\xfe", b"\0", b"\n", b"\r\n", b'"', b"'", b",", b"\xef\xbb\xbf", b"\x93NUMPY\1\0"),
    *(b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x1b[2J", "\u202e".encode(), b"seed=1,2", b"--x"),
]
RUN_FILES = [
    *("1/metrics.json", "1/paths.yaml", "1/neighbors.npz", "1/queries.npz", "1/run.log"),
    *("1/.hydra/config.yaml", "1/.hydra/overrides.yaml", "multirun.yaml"),
]


def mutations(content: bytes, seed: int) -> Iterator[bytes]:
    """Yield changed contents for some seconds: bytes, ranges or tokens put in, out or twice."""
    draw, end = random.Random(seed), time.monotonic() + SECONDS
    while time.monotonic() < end:
        changed = bytearray(content)
        for _ in range(draw.choice([1, 1, 2, 5])):
            at, to = sorted(draw.randrange(len(changed) + 1) for _ in range(2))
            if draw.random() < 0.5:  # headers are where most of the parsing is
                at, to = at % 200, min(to, at % 200 + 8)
            new = draw.choice([draw.choice(TOKENS), bytes(changed[at:to]), draw.randbytes(1), b""])
            changed[at : draw.choice([at, at + 1, at + len(new), to])] = new
        yield bytes(changed)


def check(path: Path, read: Callable[[], object], seed: int) -> int:
    """Read a file under mutations; return how many of them were read without an error."""
    content, count = path.read_bytes(), 0
    reset_peak()
    memory = peak_kilobytes()
    for changed in mutations(content, seed):
        path.write_bytes(changed)
        start = time.process_time()
        try:
            read()
            count += 1
        except UserError as error:
            assert "\n" not in str(error), changed
        assert time.process_time() - start < MAX_SECONDS, changed
    path.write_bytes(content)
    assert peak_kilobytes() - memory < MAX_GROWTH
    return count


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Return a sweep of two runs, and of jobs that never started."""
    draw = np.random.default_rng(0)
    for name in ("0", "1"):
        write_run(tmp_path / name, draw.random(N), random_neighbors(draw))
    write_multirun(tmp_path, {"seed": "range(0,4)"}, ["backbone.layer=layer1,layer2"])
    line = "[2026-11-25 10:00:31,562][src.cli.app][ERROR] - error: the disk is full\n"
    (tmp_path / "1" / "run.log").write_text(line)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN_FILES)
def test_the_other_run_is_read_whatever_is_in_a_file(name: str, sweep: Path) -> None:
    def read() -> None:
        runs = {run.folder: run for run in read_runs([sweep])}
        assert runs[sweep / "0"].error == ""
        for run in runs.values():
            assert len(run.command.splitlines()) == 1
            assert len(run.error.splitlines()) <= 1
        if not runs[sweep / "1"].error:
            run = runs[sweep / "1"]
            assert run.files.neighbors()[0].max() < len(run.files.neighbors()[1])
            run.images()
            run.query_values("artist/map_at_10")

    assert check(sweep / name, read, RUN_FILES.index(name)) > 10


def filled_journal(folder: Path) -> Path:
    path = folder / "journal.csv"
    with open_journal(path) as journal:
        for name in ("a", "b"):
            failure = Failure(Outcome.permanent, 'odd, "quoted" 404', 404)
            journal.add(failure_record(name, "http://a/b,c", failure))
    return path


def filled_rows(folder: Path) -> Path:
    DoneRows(folder).append([0, 1, 2], [(3, "why")], [(1, "cut off")])
    DoneRows(folder).append([5], [])
    return folder / "done-0.jsonl"


def filled_tiles(folder: Path) -> Path:
    DoneTiles(folder, SINGLE_PROCESS).append([1, 2, 30])
    return folder / "done-0.txt"


def open_and_close(path: Path) -> None:
    with open_journal(path):
        read_journal(path)


JOURNALS = {
    "downloads": (filled_journal, open_and_close),
    "rows": (filled_rows, lambda path: DoneRows(path.parent)),
    "tiles": (filled_tiles, lambda path: DoneTiles(path.parent, SINGLE_PROCESS)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", JOURNALS)
def test_a_journal_is_read_whatever_is_in_it(name: str, tmp_path: Path) -> None:
    fill, read = JOURNALS[name]
    path = fill(tmp_path)
    assert check(path, lambda: read(path), len(name)) > 10
    assert os.listdir(tmp_path) == [path.name]
