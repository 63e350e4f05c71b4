"""Bombs are refused before they take memory or time, by files and by downloads alike."""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from src.io.images import DOWNLOAD_FORMATS
from tests.support.hostile_bombs import BOMBS

MAX_PIXELS = 100_000_000
SLOW = ("white.jpg", "white.png", "as many scans as allowed.jpg")
# Prints seconds of the processor, peak memory in bytes, the size or else the reason
READER = """
import resource, sys
from pathlib import Path
from src.io.images import Unreadable, check_complete, load_rgb
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
path, max_pixels = Path(sys.argv[1]), int(sys.argv[2])
status, times = Path("/proc/self/status"), resource.getrusage(resource.RUSAGE_SELF)
try:
    if sys.argv[3] == "file":
        answer = load_rgb(path, max_pixels).size
    else:
        answer = check_complete(path.read_bytes(), max_pixels)
except Unreadable as reason:
    answer = reason
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - times.ru_utime - times.ru_stime)
print(1024 * int(status.read_text().split("VmHWM:")[1].split()[0]))
print(answer)
"""


class Cost(NamedTuple):
    seconds: float  # of the processor
    peak: int  # bytes
    answer: str  # the size, or the reason


def read(path: Path, how: str) -> Cost:
    """Read a file in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", READER, str(path), str(MAX_PIXELS), how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    seconds, peak, answer = done.stdout.splitlines()
    return Cost(float(seconds), int(peak), answer)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux reports the peak")
@pytest.mark.parametrize("how", ["file", "download"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in BOMBS]
)
def test_a_bomb_takes_no_more_than_its_pixels(tmp_path: Path, name: str, how: str) -> None:
    reason, make = BOMBS[name]
    path = tmp_path / name
    path.write_bytes(make())
    cost = read(path, how)
    is_size = re.fullmatch(r"\((\d+), (\d+)\)", cost.answer)
    pixels = int(is_size[1]) * int(is_size[2]) if is_size else 0
    assert cost.seconds < 2 * (pixels / 10_000_000 + 1)
    assert cost.peak < 16 * pixels + 3 * path.stat().st_size + 200_000_000
    is_fetched = path.suffix[1:].upper().replace("JPG", "JPEG").replace("TIF", "TIFF")
    if how == "download" and is_fetched not in DOWNLOAD_FORMATS:
        assert cost.answer in ("not an image",) or re.search(reason, cost.answer)
    elif reason:
        assert re.search(reason, cost.answer), cost
    else:
        assert is_size, cost
