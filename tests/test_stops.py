"""Runs that are stopped in the middle, as real processes."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
from PIL import Image

from src import cli, rows
from src.config import Config
from src.data import Batch
from src.embed import Embeddings, embed
from src.folder import folder_gallery
from src.sources import Folder

ROOT = Path(__file__).resolve().parent.parent
STARTED = "import sys; from tests.test_stops import slow; slow(*sys.argv[1:])"
KILLS, IMAGES, BATCH = 10, 60, 4


def slowly(seconds: float, told: Path | None = None) -> None:
    """From here on each batch takes that long, and adds its rows to a file."""
    write = rows.RowWriter.write_on_batch_end

    def wait(self: rows.RowWriter, *arguments: object) -> None:
        write(self, *arguments)
        (batch,) = (each for each in arguments if isinstance(each, Batch))
        if told is None:
            print("batch", flush=True)
        else:
            with told.open("a") as file:
                file.write("".join(f"{row}\n" for row in batch.rows))
        time.sleep(seconds)

    rows.RowWriter.write_on_batch_end = wait


def slow(images: str, outputs: str) -> None:
    """A run that takes long enough to be stopped; the body of the processes below."""
    import src.run

    slowly(1)
    sys.argv = ["run", "data=folder", f"data.images={images}", f"outputs={outputs}"]
    sys.argv += ["backbone.name=resnet18", "backbone.weights=random", "backbone.layer=layer1"]
    sys.argv += ["data.batch_size=1", "data.workers=0", "tracking=off", "similarity.top_k=3"]
    sys.exit(cli.command(src.run.main))


def made(cfg: Config, workers: int = 0) -> Embeddings:
    options = replace(cfg.data, batch_size=BATCH, workers=workers)
    gallery = folder_gallery(Path(cfg.data.images), None, None, 0, Path(cfg.outputs))
    return embed(gallery, replace(cfg, data=options))


def to_be_killed(cfg: Config, told: Path) -> None:
    """The body of a process: embed, slowly, with what is done on the disk all the time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # the bars of ten processes
    rows.SECONDS = 0.05
    slowly(0.04, told)
    made(cfg)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_ends_at_once_and_goes_on(
    paintings: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-c", STARTED, str(paintings), str(tmp_path)]
    process = subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "batch\n"
    process.send_signal(number)
    _, printed = process.communicate(timeout=10)
    assert process.returncode == code
    assert "Traceback" not in printed
    (part,) = tmp_path.glob("embeddings/*/*/*.part")
    assert rows.Finished(part).rows == {0}


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_ten_kills_at_random_moments_change_no_bit(cfg: Config, tmp_path: Path) -> None:
    folder, draw = tmp_path / "many", np.random.default_rng(0)
    folder.mkdir()
    for number in range(IMAGES):
        pixels = draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    (folder / "13.png").write_text("no image")
    many = replace(cfg, data=Folder(images=str(folder)))
    told, seed = tmp_path / "told", random.randrange(10**6)
    moments = random.Random(seed)
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["src.embed"])
    there = [0]
    for _ in range(KILLS):
        process = server.Process(target=to_be_killed, args=(many, told))
        process.start()
        started = len(told.read_text()) if told.exists() else 0
        # most of them among the rows, some at any moment before
        among = moments.random() < 0.7
        while (
            among and process.is_alive() and not (told.exists() and len(told.read_text()) > started)
        ):
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.15 if among else 1.5))
        process.kill()
        process.join()
        parts = list(Path(many.outputs).glob("embeddings/*/*/*.part"))
        there.append(len(rows.Finished(parts[0]).rows) if parts else there[-1])
    assert there == sorted(there), (seed, there)  # nothing is ever lost
    last = made(many)
    assert last.facts["resumed_rows"] == there[-1] > 0, (seed, there)
    computed = len(told.read_text().splitlines()) + last.facts["embedded_rows"]
    assert computed <= IMAGES + KILLS * 3 * BATCH, (seed, there)  # what a flush had not reached
    whole = made(replace(many, outputs=str(tmp_path / "whole")))
    np.testing.assert_array_equal(last.features.view("i4"), whole.features.view("i4"))
    assert last.gallery.files == whole.gallery.files == sorted(set(whole.gallery.files))
    assert len(last.features) == IMAGES - 1
