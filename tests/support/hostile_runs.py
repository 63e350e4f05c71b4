"""Hostile files embedded, or read in another process; marks of the tests that do so."""

import csv
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from src.config import Backbone, Config, Trainer
from src.config.data import Folder
from src.config.enums import Accelerator
from src.embedding.cache import Embeddings
from src.gallery import Gallery
from src.gallery.folder import folder_gallery
from src.pipeline.embed import embed
from tests.support.image_files import Maker, noise

MAX_PIXELS = 30_000_000
MARKS = [
    # a thread also ends a test that hangs in C, and prints its stack: a signal waits for Python
    pytest.mark.timeout(300, method="thread"),
    # src.io.images ignores warnings of PIL, but pytest's filters come first
    pytest.mark.filterwarnings("ignore::UserWarning"),
    # Python 3.12 warns of any fork of a process that has threads
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]


@dataclass(frozen=True)
class Outcome:
    """A gallery of hostile files, and the result of embedding it."""

    gallery: Gallery
    expected: dict[str, Image.Image | str]  # by file: the picture, or a pattern of the reason
    embeddings: Embeddings
    skipped: dict[str, str]  # reasons by file, as in skipped.csv


def options(images: Path, outputs: Path) -> Config:
    """Return the options of a small run that reads images in two workers."""
    return Config(
        data=Folder(images=str(images), batch_size=7, workers=2, max_pixels=MAX_PIXELS),
        backbone=Backbone(name="resnet18", weights="random", layer="layer1", layers=[]),
        trainer=Trainer(accelerator=Accelerator.cpu),
        outputs=str(outputs),
    )


def embed_files(images: Path, outputs: Path, later: dict[str, Maker]) -> Outcome:
    """Embed the files of a folder; those in later change after the folder was listed."""
    gallery = folder_gallery(images, None, None, 0, outputs)
    expected = {name: make(images / name, noise(name)) for name, make in later.items()}
    embeddings = embed(gallery, options(images, outputs))
    with (embeddings.folder / "skipped.csv").open(
        encoding="utf-8", errors="surrogateescape", newline=""
    ) as lines:
        skipped = dict(list(csv.reader(lines))[1:])
    return Outcome(gallery, expected, embeddings, skipped)


READER = """
import sys
from pathlib import Path
from src.io.images import Unreadable, load_rgb, pixel_size
for name in sys.argv[2:]:
    pixel_size(Path(name))
    try:
        load_rgb(Path(name), int(sys.argv[1]))
    except Unreadable as reason:
        assert str(reason) and "\\n" not in str(reason)
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def read_in_new_process(paths: list[Path], max_pixels: int) -> list[int]:
    """Read files in a process that does nothing else, in which a warning is an error.

    Return the peak memory of that process after each file, in bytes.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux reports the peak memory")
    command = [sys.executable, "-W", "error", "-c", READER, str(max_pixels), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return [1024 * int(line) for line in done.stdout.split()]
