"""One pass over the images: through the network once, every layer's rows to their folders."""

import csv
import hashlib
import logging
import shutil
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import lightning as L
import numpy as np
import torch
import yaml
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from src import machine
from src.backbone import Backbone, load_backbone
from src.checks import UserError
from src.compiled import compiler as compiler_for
from src.config import Config
from src.data import GalleryDataModule, PaintingsDataset, Transform
from src.gallery import Gallery
from src.launch import OVER_GLOO, placement
from src.network import transform
from src.resume import begin, read_record
from src.reuse import CHECKSUMS, NAMES, OPTIONS, SKIPPED, copy_rows
from src.rows import FEATURES, Finished, RowWriter, create_rows, keep_rows
from src.spread import World

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """What a pass was begun with: it goes on with the same, so that its rows have the same bits."""

    layers: list[str]
    batch: int
    compiler: str | None
    device: str
    torch: str


@dataclass(frozen=True)
class OnePass:
    """A pass into a folder parent/<...>.part, which a process that is stopped leaves to the next.

    Of several processes, the first prepares and finishes; all share out the images.
    """

    gallery: Gallery
    cfg: Config
    options: dict[str, Any]  # all that the rows depend on
    parent: Path
    world: World

    def make(self, layers: list[str]) -> dict[str, Any]:
        """Leave parent/<layer> for each layer; how it went, for metrics.json. Raises UserError."""
        prepare = transform(self.cfg.backbone, self.cfg.data)
        part, made = self.world.from_first(lambda: self._begun(layers))
        # the first fetches the weights
        backbone = self.world.in_turn(
            lambda: load_backbone(self.cfg.backbone, made.layers, prepare, self.cfg.seed)
        )
        if self.cfg.backbone.weights == "random":
            log.warning("the network has random weights: it has learned nothing")
        facts, rows = self.world.from_first(lambda: self._todo(part, backbone))
        facts["compiler"] = made.compiler
        if rows:
            images = self._served(rows, made.batch, prepare)
            took = self._predict(backbone, images, part, made)
            facts |= took | self._rates(len(rows), took, made)
        self.world.barrier()
        self.world.from_first(lambda: self._finish(part, made.layers))
        return facts

    def _begun(self, layers: list[str]) -> tuple[Path, Made]:
        """The folder of a pass over these layers: one that was stopped, or a new one."""
        device = machine.device_of(self.cfg.trainer.accelerator, self.world.device)
        n = len(self.gallery)
        wanted = Made(
            layers=layers,
            batch=min(self.cfg.data.batch_size or machine.batch_size(device), n),
            compiler=machine.chosen_compiler(self.cfg.trainer, n, device),
            device=machine.name_of(device),
            torch=torch.__version__,
        )
        for part in self.parent.glob("*.part"):
            earlier = read_record(part, wanted, ("layers", "batch", "compiler"))
            can = earlier and earlier.compiler in (None, compiler_for(device))
            if earlier and can and set(layers) <= set(earlier.layers):
                return part, earlier
        digest = hashlib.sha256(repr(layers).encode()).hexdigest()[:12]
        part = self.parent / f"{digest}.part"
        if part.exists():
            log.warning("embedding: begun on another device or by others, starts over: %s", part)
        return part, begin(part, wanted, ())

    def _todo(self, part: Path, backbone: Backbone) -> tuple[dict[str, Any], list[int]]:
        """How many rows are there, and which are not, nor in other folders."""
        layers = backbone.extractor.layers
        create_rows(part, len(self.gallery), backbone.extractor.dims)
        finished, copied = Finished(part), []
        if finished.rows:
            here = len(finished.rows)
            log.info("embedding: %d of %d rows are there already", here, len(self.gallery))
        else:
            own = self.parent.name.rpartition("-")[0]
            others = sorted(self.parent.parent.parent.glob(f"*/{own}-*"))
            copied = copy_rows(part, layers, self.gallery, self.options, others)
        facts = {"resumed_rows": len(finished.rows), "copied_rows": len(copied)}
        if copied:
            log.info("embedding: %d rows copied, of images embedded before", len(copied))
            finished.add(copied, [])
        return facts, [row for row in range(len(self.gallery)) if row not in finished.rows]

    def _served(self, rows: list[int], batch: int, prepare: Transform) -> GalleryDataModule:
        """This process's share in whole batches, which are the same for any number of processes."""
        batches = [rows[at : at + batch] for at in range(0, len(rows), batch)]
        own = batches[self.world.rank :: self.world.size] or batches[-1:]  # none would be refused
        workers = self.cfg.data.workers
        if workers is None:
            workers = machine.worker_count(self.cfg.trainer.devices)
        images = PaintingsDataset(self.gallery, prepare, self.cfg.data.max_pixels)
        return GalleryDataModule(images, [row for each in own for row in each], batch, workers)

    def _predict(
        self, backbone: Backbone, images: GalleryDataModule, part: Path, made: Made
    ) -> dict[str, Any]:
        """How long it took, and where."""
        layers, todo = backbone.extractor.layers, len(images.rows)
        with RowWriter(part, layers, self.gallery.files, todo, self.world) as writer:
            trainer = self._trainer(writer)
            device = trainer.strategy.root_device
            log.info("embedding: %d images on %s, layers %s", todo, device, ", ".join(layers))
            if advice := machine.idle_gpu(device):
                bar = "=" * 80
                log.warning("%s\nTHIS MACHINE'S GPU IS NOT USED: %s\n%s", bar, advice, bar)
            start = time.perf_counter()
            if made.compiler:
                backbone.compile_for(made.batch, device)
            _run(trainer, backbone, images)
            seconds = time.perf_counter() - start - backbone.compile_seconds
        return {
            "embed_seconds": seconds,
            "compile_seconds": backbone.compile_seconds,
            "waiting_for_data": writer.waited / seconds,
            "device": str(device),
            "idle_gpu": advice is not None,
        }

    def _rates(self, n: int, took: dict[str, Any], made: Made) -> dict[str, Any]:
        """Of all processes together."""
        rate = n / took["embed_seconds"]
        log.info(
            "embedding: %.1f images/s, %.0f%% of the time waiting for data; %s, %s, %s, %.1f GB",
            *(rate, 100 * took["waiting_for_data"], took["device"], self.options["precision"]),
            *(made.compiler or "not compiled", max(machine.peak_memory().values())),
        )
        return {"embedded_rows": n, "images_per_second": rate}

    def _trainer(self, writer: RowWriter) -> L.Trainer:
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        alone = self.world.size == 1
        return L.Trainer(
            **placement(self.cfg.trainer),
            strategy="auto" if alone else DDPStrategy(**OVER_GLOO),
            # else a lone process within a Slurm job would be taken for one of srun's
            plugins=LightningEnvironment() if alone else None,
            precision=cast(Any, self.cfg.trainer.precision.name),
            use_distributed_sampler=False,  # each process has its own rows
            callbacks=[writer],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    def _finish(self, part: Path, layers: list[str]) -> None:
        """Drop the rows of unreadable images, list them, say how it was made, move the folders."""
        unreadable, files = Finished(part).unreadable, self.gallery.files
        skipped = [(files[row], why) for row, why in sorted(unreadable.items())]
        kept = [row for row in range(len(files)) if row not in unreadable]
        if not kept:
            shutil.rmtree(part)
            raise UserError(
                f"none of the {len(skipped)} images can be read; the first: {skipped[0][0]}:"
                f" {skipped[0][1]}"
            )
        if skipped:
            log.warning("%d images cannot be read and are left out: skipped.csv", len(skipped))
        works = self.gallery.works.iloc[kept]
        missing = [layer for layer in layers if not (self.parent / layer).exists()]
        for folder in [part / layer for layer in missing]:
            keep_rows(folder / FEATURES, kept)
            np.save(folder / NAMES, np.array(list(works["file"])))
            np.save(folder / CHECKSUMS, np.array(list(works["sha256"])))
            with (folder / SKIPPED).open("w", -1, "utf-8", "surrogateescape", "") as file:
                csv.writer(file).writerows([("file", "reason"), *skipped])
            text = yaml.safe_dump(self.options | {"layer": folder.name}, sort_keys=False)
            (folder / OPTIONS).write_text(text)
        for layer in missing:
            (part / layer).rename(self.parent / layer)
        shutil.rmtree(part)


def _run(trainer: L.Trainer, backbone: Backbone, images: GalleryDataModule) -> None:
    with warnings.catch_warnings():
        # data.workers is chosen for the machine; Lightning would always have more of them
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # Lightning 2.6 calls what torch 2.12 and later deprecate
        warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.`", FutureWarning)
        try:
            trainer.predict(backbone, datamodule=images, return_predictions=False)
        except SystemExit as stop:
            if stop.code == 1:  # how Lightning ends at Ctrl-C
                raise KeyboardInterrupt from stop
            raise
