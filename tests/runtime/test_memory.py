"""Free memory and the block sizes that fit into it."""

from pathlib import Path

import pytest
import torch

from src.runtime import memory

CPU = torch.device("cpu")


@pytest.mark.parametrize(("free", "rows"), [(2**40, 2048), (2**27, 1024), (0, 256)])
def test_blocks_shrink_with_the_free_memory(free: int, rows: int) -> None:
    assert memory.block_rows(2048, CPU, free) == rows
    assert free == 0 or 4 * (4 * rows * rows + 3 * rows * 2048) <= free / 2 or rows == 256


def test_free_memory_is_a_plausible_number_of_bytes() -> None:
    assert 2**20 < memory.free_memory(CPU) < 2**60


def test_a_control_group_limits_the_free_memory(tmp_path: Path) -> None:
    group = tmp_path / "job" / "step"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("5\n")
    (tmp_path / "job" / "memory.max").write_text("1000\n")
    (tmp_path / "job" / "memory.current").write_text("400\n")
    (tmp_path / "membership").write_text("0::/job/step\n")
    assert memory._cgroup_free(tmp_path, tmp_path / "membership") == 600
    assert memory._cgroup_free(tmp_path, tmp_path / "missing") > 2**20


def test_rows_stay_on_a_gpu_only_if_they_fit() -> None:
    assert memory.fits_on_device(2**60, CPU, 0)
    assert memory.fits_on_device(500, torch.device("cuda"), 1000)
    assert not memory.fits_on_device(700, torch.device("cuda"), 1000)
