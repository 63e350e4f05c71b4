"""A matrix whose writing is killed: real processes, real kills."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from src.similarity import write_matrix

ROOT = Path(__file__).resolve().parent.parent
ROWS = np.random.default_rng(0).random((300, 24), dtype="f4")
BODY = """
import sys, time
from pathlib import Path
import numpy as np
from src import matrix, tiles
from src.similarity import write_matrix
folder = Path(sys.argv[1])
matrix.SECONDS = 0.02
tile = tiles.Centered.tile
def slowly(self, rows, columns, memory):
    with (folder / "computed").open("a") as file:
        file.write(f"{rows.start} {columns.start}\\n")
    time.sleep(0.02)
    return tile(self, rows, columns, memory)
tiles.Centered.tile = slowly
write_matrix(np.load(folder / "rows.npy"), folder / "matrix.npy", sys.argv[2], block_size=16)
"""


def started(folder: Path, dtype: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", BODY, str(folder), dtype], cwd=ROOT)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_after_kills_a_matrix_has_the_bytes_of_an_undisturbed_one(dtype, tmp_path):
    write_matrix(ROWS, tmp_path / "whole.npy", dtype, block_size=16)
    np.save(tmp_path / "rows.npy", ROWS)
    draw, computed = random.Random(dtype), tmp_path / "computed"
    for _ in range(4):
        before = computed.read_text().count("\n") if computed.exists() else 0
        process = started(tmp_path, dtype)
        while not computed.exists() or computed.read_text().count("\n") == before:
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(draw.random())
        process.kill()
        assert process.wait() == -9
        assert not (tmp_path / "matrix.npy").exists()
    assert started(tmp_path, dtype).wait(120) == 0
    assert (tmp_path / "matrix.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not (tmp_path / "matrix.npy.part").exists()
    each = computed.read_text().splitlines()
    # 190 tiles; a kill costs those that the disk was not yet known to have
    assert 190 == len(set(each)) <= len(each) <= 190 + 4 * 12
