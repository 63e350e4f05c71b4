"""Several real processes over gloo, on this machine."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from src.csls import csls_penalty
from src.similarity import top_k

ROOT = Path(__file__).resolve().parent.parent
BODY = """
import sys, time
from pathlib import Path
import numpy as np, torch, torch.distributed as dist
from src import resume, spread
from src.csls import csls_penalty
from src.similarity import top_k
folder, rank, size, slow, what = Path(sys.argv[1]), *map(int, sys.argv[2:5]), sys.argv[5]
torch.set_num_threads(1)
dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=size)
spread.BEAT, resume.SECONDS = 0.5, 0.2
seen = []
def watch(tiles):
    for tile in tiles:
        seen.append(tile)
        yield tile
        print("tile", flush=True)
        time.sleep(slow / 1000)
where = {"matrix": folder / "m.npy"} if what == "matrix" else {"resume": folder / "part"}
world = spread.World(rank, size)
rows = np.load(folder / "rows.npy")
if what == "csls":
    where["penalty"] = csls_penalty(top_k(rows, 10, block_size=16, world=world).score)
found = top_k(rows, 5, block_size=16, world=world, watch=watch, **where)
np.savez(folder / f"found-{rank}.npz", index=found.index, score=found.score, seen=seen)
dist.barrier()
dist.destroy_process_group()
"""


def started(folder: Path, size: int, slow: int, what: str) -> list[subprocess.Popen[str]]:
    (folder / "meet").unlink(missing_ok=True)
    return [
        subprocess.Popen(
            [sys.executable, "-c", BODY, str(folder), str(rank), str(size), str(slow), what],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


@pytest.fixture
def rows(tmp_path: Path) -> np.ndarray:
    values = np.random.default_rng(0).random((200, 30), dtype="f4")
    values[150:] = values[:50]
    np.save(tmp_path / "rows.npy", values)
    return values


def assert_found(folder: Path, rows: np.ndarray, size: int, what: str) -> list[int]:
    penalty = csls_penalty(top_k(rows, 10).score) if what == "csls" else None
    alone, seen = top_k(rows, 5, penalty=penalty), []
    for rank in range(size):
        found = np.load(folder / f"found-{rank}.npz")
        np.testing.assert_array_equal(found["index"], alone.index)
        np.testing.assert_array_equal(found["score"].view("i4"), alone.score.view("i4"))
        seen += found["seen"].tolist()
    return sorted(seen)


@pytest.mark.parametrize("what", ["topk", "matrix", "csls"])
@pytest.mark.parametrize("size", [2, 3])
def test_several_processes_find_the_same(size, what, rows, tmp_path):
    for process in started(tmp_path, size, 0, what):
        _, printed = process.communicate(timeout=120)
        assert process.returncode == 0, printed
    assert assert_found(tmp_path, rows, size, what) == list(range(91))  # 13 blocks: each tile once
    if what == "matrix":
        top_k(rows, 5, block_size=16, matrix=tmp_path / "alone.npy")
        assert (tmp_path / "m.npy").read_bytes() == (tmp_path / "alone.npy").read_bytes()


@pytest.mark.parametrize("what", ["topk", "matrix"])
@pytest.mark.parametrize(("size", "killed", "after"), [(2, 1, 2), (3, 0, 3), (3, 2, 1)])
def test_when_one_dies_all_end_and_the_next_start_goes_on(
    size, killed, after, what, rows, tmp_path
):
    processes = started(tmp_path, size, 300, what)
    for _ in range(8):
        assert processes[killed].stdout.readline() == "tile\n"
    processes[killed].kill()
    began = time.monotonic()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode != 0
    assert time.monotonic() - began < 60
    for process in started(tmp_path, after, 0, what):
        _, printed = process.communicate(timeout=120)
        assert process.returncode == 0, printed
    seen = assert_found(tmp_path, rows, after, what)
    assert what == "matrix" or 0 < len(seen) < 91
