"""The commands of every day: seconds from command to prompt, quiet and beside busy programs.

python -m tests.bench.daily                    # this checkout
python -m tests.bench.daily . path/to/another  # side by side, in turns

The run is one of the demo whose rows are cached; the leaderboard is of ten such runs. The other
programs are as many as --programs, each multiplying matrices with two threads.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUSY = """
import torch
torch.set_num_threads(2)
matrix = torch.rand(2000, 2000)
print("busy", flush=True)
while True:
    matrix @ matrix
"""
RUNS = 10
REFUSED = ("src.run", "similarity.topk=3")
HEAVY = ("torchvision", "lightning", "torchmetrics", "scipy", "wandb", "timm", "openvino")
IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*(\w+)")


def commands(outputs: Path) -> dict[str, tuple[str, ...]]:
    """What is timed, by its name: a module and its words."""
    return {
        "cached run": ("src.run", "experiment=demo", "tracking=off", f"outputs={outputs}"),
        "show": ("src.show", "45", "--no-open", "--outputs", str(outputs)),
        f"leaderboard of {RUNS}": ("src.leaderboard", str(outputs / "sweeps")),
        "refused option": REFUSED,
    }


def run(checkout: Path, words: Sequence[str], *flags: str) -> subprocess.CompletedProcess[str]:
    """Run python -m with these words; raises CalledProcessError unless it ends as it should."""
    command = [sys.executable, *flags, "-m", *words]
    ended = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    if ended.returncode != (2 if words == REFUSED else 0):
        print(ended.stderr, file=sys.stderr)
        ended.check_returncode()
    return ended


def prepare(checkout: Path, outputs: Path) -> None:
    """Draw and embed the demo, and leave the runs of a sweep."""
    every = ",".join(map(str, range(1, RUNS + 1)))
    run(checkout, [*commands(outputs)["cached run"]])
    sweep = ["-m", "experiment=demo", "tracking=off", f"outputs={outputs}"]
    run(checkout, ["src.run", *sweep, f"similarity.top_k={every}"])


@contextmanager
def busy(programs: int) -> Iterator[None]:
    """So many programs of two threads each compute meanwhile."""
    started = [
        subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
        for _ in range(programs)
    ]
    try:
        for program in started:
            assert program.stdout is not None
            assert program.stdout.readline() == b"busy\n"
        yield
    finally:
        for program in started:
            program.kill()
            program.wait()


def imported(checkout: Path, words: Sequence[str]) -> list[tuple[str, float]]:
    """The packages that a command imports and the seconds of each, most first."""
    seconds: Counter[str] = Counter()
    for line in run(checkout, words, "-X", "importtime").stderr.splitlines():
        if found := IMPORT.match(line):
            seconds[found[2]] += int(found[1])
    return [(name, spent / 1e6) for name, spent in seconds.most_common()]


def main() -> None:
    """Print a table of medians and what the cached run imports."""
    parser = argparse.ArgumentParser("python -m tests.bench.daily")
    parser.add_argument("checkouts", nargs="*", type=Path, default=[ROOT])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--programs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folders = {
            checkout: Path(temporary, str(i)) for i, checkout in enumerate(options.checkouts)
        }
        for checkout, outputs in folders.items():
            prepare(checkout, outputs)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; median (range) of seconds")
        for programs in (0, options.programs):
            with busy(programs):
                print(f"\nbeside {programs} busy programs" if programs else "\nquiet")
                took: dict[tuple[Path, str], list[float]] = {}
                for _ in range(options.rounds):
                    for checkout, outputs in folders.items():
                        for name, words in commands(outputs).items():
                            began = time.monotonic()
                            run(checkout, words)
                            took.setdefault((checkout, name), []).append(time.monotonic() - began)
            for (checkout, name), each in took.items():
                spread = f"({min(each):.2f} to {max(each):.2f})"
                print(f"  {name:<18}{statistics.median(each):6.2f} {spread:<18}{checkout}")
        for checkout, outputs in folders.items():
            packages = imported(checkout, commands(outputs)["cached run"])
            total = sum(spent for _, spent in packages)
            print(f"\nimported by a cached run, {total:.1f} s: {checkout}")
            print("  " + ", ".join(f"{name} {spent:.2f}" for name, spent in packages[:12]))
            print("  of", ", ".join(HEAVY), "it imports", end=" ")
            print(", ".join(sorted(set(HEAVY) & dict(packages).keys())) or "none")


if __name__ == "__main__":
    main()
