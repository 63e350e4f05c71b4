"""Runs that are interrupted, as real processes."""

import math
import os
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import src.pipeline.embed
from src.config import Config
from src.embedding import writer
from src.embedding.cache import Embeddings
from src.embedding.dataset import Batch
from src.embedding.row_files import FEATURES, DoneRows
from src.gallery.folder import folder_gallery
from src.pipeline.embed import embed
from tests.support.options import changed
from tests.support.processes import (
    Fork,
    Point,
    announce,
    run_module,
)

IMAGES, BATCH, FLUSH = 60, 2, 3  # a flush after every third batch
LAYERS = ["layer1", "layer2"]
Written = Callable[[Batch], None]


def do_nothing(batch: Batch) -> None:
    """Add nothing to what is done with a batch."""


def on_each_batch(before: Written = do_nothing, after: Written = do_nothing) -> None:
    """Call before and after around the writing of each batch in this process."""
    write = writer.RowWriter.write_on_batch_end

    def write_between(self: writer.RowWriter, *arguments: Any) -> None:
        """Write the batch between the two calls."""
        (batch,) = (each for each in arguments if isinstance(each, Batch))
        before(batch)
        write(self, *arguments)
        after(batch)

    writer.RowWriter.write_on_batch_end = write_between  # type: ignore[method-assign]


def run_to_be_stopped(images: str, outputs: str) -> None:
    """As the body of a child: run and announce the first batch."""
    on_each_batch(after=lambda batch: announce(batch.rows))
    words = ["data=folder", f"data.images={images}", f"outputs={outputs}", "tracking=off"]
    words += ["backbone.name=resnet18", "backbone.weights=random", "backbone.layer=layer1"]
    words += ["data.batch_size=1", "data.workers=0", "similarity.top_k=3"]
    run_module("src.run", words, dict(os.environ))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_at_once_with_its_rows_saved(
    paintings: Path,
    tmp_path: Path,
    fork: Fork,
    number: signal.Signals,
    code: int,
) -> None:
    process = fork(run_to_be_stopped, str(paintings), str(tmp_path))
    assert process.wait_for_announcement() == [0]
    process.send_signal(number)
    printed, _ = process.communicate(timeout=10)
    assert process.returncode == code, printed
    assert "Traceback" not in printed
    (part,) = tmp_path.glob("embeddings/*/*/*.part")
    assert DoneRows(part).rows == {0}


def embed_small(cfg: Config) -> Embeddings:
    """Embed the small images of a folder at 32 pixels."""
    full = src.pipeline.embed.transform
    gallery = folder_gallery(Path(cfg.data.images), None, None, 0, Path(cfg.outputs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            src.pipeline.embed,
            "transform",
            lambda *a: replace(full(*a), size=32, resize_before_crop=36),
        )
        return embed(gallery, cfg)


def embed_to_be_killed(cfg: Config, embedded_log: Path, point: Point) -> None:
    """As the body of a child: embed, flushing after every third batch, up to the point."""
    number = count(1)

    def note(batch: Batch) -> None:
        """Note which rows were embedded, and choose whether a flush follows."""
        with embedded_log.open("a") as file:
            file.write("".join(f"{row}\n" for row in [*batch.rows, *dict(batch.unreadable)]))
        writer.FLUSH_SECONDS = -1 if next(number) % FLUSH == 0 else math.inf

    on_each_batch(before=note)
    point.arm()
    embed_small(cfg)


def points(seed: int) -> list[Point]:
    """Draw points of a kill: at the start, while rows are written, and after the last row.

    A batch has a pwrite for each layer, at least, and a flush an fdatasync for each layer, then one
    of the list of finished rows.
    """
    draw, each = random.Random(seed), len(LAYERS) + 1
    flushes = [each * draw.randrange(2) for _ in range(4)]
    among = [
        Point("pwrite", draw.randrange(8, 20), "half"),  # in a batch's rows of a layer
        Point("fdatasync", flushes[0], "before"),  # between batches and their flush
        Point("fdatasync", flushes[1] + draw.randrange(len(LAYERS)), "after"),
        Point("fdatasync", flushes[2] + each - 1, "half"),  # in the line that lists the rows
        Point("fdatasync", flushes[3] + each - 1, "after"),
    ]
    return [
        Point("replace", name="record.json"),
        Point("replace", name=f"{LAYERS[1]}/features.npy"),
        *draw.sample(among, len(among)),
        Point("replace", when="half", name=f"{LAYERS[0]}/features.npy"),
        Point("replace", when="after", name=f"{LAYERS[1]}/features.npy"),
        Point("rename", when="after", name=LAYERS[0]),  # of the layers, the first
    ]


def draw_images(folder: Path) -> None:
    """Draw small images into folder, one of which cannot be read."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    for number in range(IMAGES):
        pixels = draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    (folder / "13.png").write_text("no image")


def features(embeddings: Embeddings) -> list[Path]:
    """Return the rows of all layers and poolings of a gallery."""
    return [*embeddings.folder.parents[1].rglob(FEATURES)]


@pytest.mark.parametrize(
    ("seed", "every", "poolings"),
    [
        (0, 3, ["avg"]),
        pytest.param(1, 1, ["avg"], marks=pytest.mark.slow),
        pytest.param(2, 1, ["avg", "max"], marks=pytest.mark.slow),
    ],
    ids=["4", "10", "10, two poolings"],
)
def test_kills_at_announced_points_change_no_bit(
    cfg: Config,
    tmp_path: Path,
    fork: Fork,
    seed: int,
    every: int,
    poolings: list[str],
) -> None:
    draw_images(tmp_path / "many")
    options = {"images": str(tmp_path / "many"), "batch_size": BATCH, "workers": 0}
    backbone = {"layer": LAYERS[1], "layers": LAYERS, "poolings": poolings}
    many = changed(changed(cfg, "data", **options), "backbone", **backbone)
    embedded_log, done_counts, kills = tmp_path / "embedded", [0], points(seed)[::every]
    for point in kills:
        fork(embed_to_be_killed, many, embedded_log, point).kill_at_announcement()
        parts = list(Path(many.outputs).glob("embeddings/*/*/*.part"))
        done_counts.append(min((len(DoneRows(part).rows) for part in parts), default=0))
    assert done_counts == sorted(done_counts)  # nothing is ever lost
    assert done_counts[-1] == IMAGES
    last = embed_small(many)
    assert last.facts["resumed_rows"] == IMAGES
    embedded = [int(row) for row in embedded_log.read_text().split()]
    assert set(embedded) == set(range(IMAGES))
    assert len(embedded) <= IMAGES + len(kills) * FLUSH * BATCH  # what a flush had not reached
    uncut = replace(many, outputs=str(tmp_path / "whole"))
    # by such a process too: with other threads than theirs, MKL may round a single image otherwise
    fork(embed_small, uncut).wait_for_success()
    whole = embed_small(uncut)
    assert whole.facts["reused_embeddings"]
    one, other = (
        {path.relative_to(each.folder.parents[1]): path.read_bytes() for path in features(each)}
        for each in (last, whole)
    )
    assert one == other and len(one) == len(LAYERS) * len(poolings)
    assert last.gallery.files == whole.gallery.files == sorted(set(whole.gallery.files))
    assert len(last.features) == IMAGES - 1
