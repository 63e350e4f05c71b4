"""What a whole run costs after images were added to a folder, beside a run of all that starts anew:

    python -m tests.bench.growing_run [--n 20000] [--new 1000] [OVERRIDE ...]

Images are drawn. Overrides are those of src.run, such as backbone.name=resnet18.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from src.reporting.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
CLASSES = 50
SIDE = 96  # pixels


class Run(NamedTuple):
    """A finished run."""

    wall: float  # seconds
    cpu: float  # seconds of all threads
    index: np.ndarray  # (n, k) neighbors


def draw(folder: Path, numbers: np.ndarray) -> None:
    """Write images of these numbers, alike within each of CLASSES subfolders."""
    for number in tqdm(numbers, "drawing", leave=False):
        of_class = np.random.default_rng(number % CLASSES).integers(0, 255, (4, 4, 3))
        noise = np.random.default_rng(CLASSES + number).normal(0, 40, (4, 4, 3))
        pixels = (of_class + noise).clip(0, 255).astype(np.uint8)
        path = folder / f"{number % CLASSES:02}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)


def finish(images: Path, outputs: Path, overrides: list[str]) -> Run:
    """Run src.run over the images; raises CalledProcessError if it fails."""
    places = [f"data.images={images}", f"outputs={outputs}"]
    words = ["data=folder", *places, "backbone.weights=random", "tracking=off", *overrides]
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "src.run", *words], cwd=ROOT, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    run = max(outputs.glob("runs/*/*"), key=os.path.basename)
    return Run(wall, cpu, RunFolder(run).neighbors()[0])


def main() -> None:
    """Print what each run took."""
    parser = argparse.ArgumentParser("python -m tests.bench.growing_run")
    parser.add_argument("--n", type=int, default=20_000, help="images in the end")
    parser.add_argument("--new", type=int, default=1000)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    order = np.random.default_rng(0).permutation(options.n)
    with tempfile.TemporaryDirectory() as folder:
        images, outputs = Path(folder) / "images", Path(folder) / "outputs"
        draw(images, order[options.new :])
        before = finish(images, outputs, options.overrides)
        draw(images, order[: options.new])
        grown = finish(images, outputs, options.overrides)
        fresh = finish(images, Path(folder) / "fresh", options.overrides)
    kept = options.n - options.new
    print(f"{kept} images: {before.wall:.1f} s, {before.cpu:.1f} s of processors")
    print(f"{options.n} images, {options.new} of them new: {grown.wall:.1f} s, {grown.cpu:.1f} s")
    print(f"{options.n} images, all of them new: {fresh.wall:.1f} s, {fresh.cpu:.1f} s")
    print(f"ratio: {grown.wall / fresh.wall:.3f}, of processors {grown.cpu / fresh.cpu:.3f}")
    print(f"equal neighbors: {(grown.index == fresh.index).all(axis=1).mean():.4f} of the lists")


if __name__ == "__main__":
    main()
