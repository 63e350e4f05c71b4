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
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from src.config import Config
from src.config.enums import Compile
from src.embedding.backbone import BackboneModule, load_backbone
from src.embedding.cache import NAMES, SKIPPED, copy_rows, describe
from src.embedding.compilation import chosen_compiler
from src.embedding.dataset import GalleryDataModule, PaintingsDataset
from src.embedding.transforms import Transform
from src.embedding.unfinished import DONE, FEATURES, DoneRows, create_rows, keep_rows
from src.embedding.writer import RowWriter
from src.errors import UserError, at_work
from src.gallery import Gallery
from src.runtime import devices
from src.runtime.launch import OVER_GLOO, placement
from src.runtime.processes import ProcessGroup
from src.runtime.resume import begin, read_record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PassRecord:
    """What a pass was begun with: it goes on with the same, so that its rows have the same bits."""

    layers: list[str]
    batch: int
    compiler: str | None
    device: str
    torch: str


@dataclass(frozen=True)
class ExtractionPass:
    """A pass into a folder parent/<...>.part, which a process that is stopped leaves to the next.

    Of several processes, the first prepares and finishes; all share out the images.
    """

    gallery: Gallery
    cfg: Config
    prepare: Transform
    options: dict[str, Any]  # all that the rows depend on
    parent: Path
    processes: ProcessGroup

    def make(self, layers: list[str]) -> dict[str, Any]:
        """Leave parent/<layer> for each layer; how it went, for metrics.json. Raises UserError."""
        part, made = self.processes.broadcast_from_rank_zero(lambda: self._open_or_resume(layers))
        # the first fetches the weights
        backbone = self.processes.rank_zero_first(
            lambda: load_backbone(self.cfg.backbone, made.layers, self.prepare, self.cfg.seed)
        )
        if self.cfg.backbone.weights == "random":
            log.warning("the network has random weights: it has learned nothing")
        facts, rows = self.processes.broadcast_from_rank_zero(
            lambda: self._prepare_rows(part, backbone)
        )
        if rows:
            images = self._datamodule(rows, made)
            facts |= self._log_throughput(len(rows), self._predict(backbone, images, part, made))
        self.processes.barrier()
        with at_work():
            self.processes.broadcast_from_rank_zero(lambda: self._finish(part, made.layers))
        return facts

    def _open_or_resume(self, layers: list[str]) -> tuple[Path, PassRecord]:
        """The folder of a pass over these layers: one that was stopped, or a new one."""
        device = devices.device_of(self.cfg.trainer.accelerator, self.processes.device)
        n = len(self.gallery)
        wanted = PassRecord(
            layers=layers,
            batch=min(self.cfg.data.batch_size or devices.batch_size(device), n),
            compiler=chosen_compiler(self.cfg.trainer, n, device),
            device=devices.name_of(device),
            torch=torch.__version__,
        )
        begun = [
            (len(DoneRows(part).rows), part, earlier)
            for part in self.parent.glob("*.part")
            if (earlier := read_record(part, wanted, self._fields_free_to_differ()))
            and set(layers) <= set(earlier.layers)
        ]
        if begun and (furthest := max(begun, key=lambda each: each[0]))[0]:
            return furthest[1:]
        digest = hashlib.sha256(repr(wanted).encode()).hexdigest()[:12]
        part = self.parent / f"{digest}.part"
        shutil.rmtree(part, ignore_errors=True)
        return part, begin(part, wanted)

    def _fields_free_to_differ(self) -> list[str]:
        """What a pass that was stopped may have otherwise than is wanted now."""
        return ["layers"] if self.cfg.data.batch_size else ["layers", "batch"]

    def _prepare_rows(
        self, part: Path, backbone: BackboneModule
    ) -> tuple[dict[str, Any], list[int]]:
        """How many rows are there, and which are not, nor in other folders."""
        dims, works = backbone.extractor.dims, self.gallery.works
        missing = {a: dim for a, dim in dims.items() if not (self.parent / a).exists()}
        if create_rows(part, len(works), missing):
            for path in part.glob(DONE):  # of rows that are not there any more
                path.unlink()
        for layer in missing:  # for other passes to copy from
            describe(part / layer, self.options | {"layer": layer}, list(works["sha256"]))
        finished, copied = DoneRows(part), []
        if finished.rows:
            log.info("embedding: %d of %d rows are there already", len(finished.rows), len(works))
        else:
            own = self.parent.name.rpartition("-")[0]
            found = sorted(self.parent.parent.parent.glob(f"*/{own}-*"))
            others = [*found, *(part for folder in found for part in sorted(folder.glob("*.part")))]
            copied = copy_rows(part, list(missing), self.gallery, self.options, others)
        facts = {"resumed_rows": len(finished.rows), "copied_rows": len(copied)}
        if copied:
            log.info("embedding: %d rows copied, of images embedded before", len(copied))
            finished.add(copied, [])
        return facts, [row for row in range(len(works)) if row not in finished.rows]

    def _datamodule(self, rows: list[int], made: PassRecord) -> GalleryDataModule:
        """This process's share in whole batches, which are the same for any number of processes."""
        batch = made.batch
        batches = [rows[at : at + batch] for at in range(0, len(rows), batch)]
        own = (
            batches[self.processes.rank :: self.processes.size] or batches[-1:]
        )  # none would be refused
        workers = self.cfg.data.workers
        if workers is None:
            workers = devices.worker_count(self.cfg.trainer.devices)
        images = PaintingsDataset(self.gallery, self.prepare, self.cfg.data.max_pixels)
        pinned = devices.is_cuda(self.cfg.trainer.accelerator, self.processes.device)
        share = [row for each in own for row in each]
        return GalleryDataModule(images, share, batch, workers, pinned)

    def _predict(
        self, backbone: BackboneModule, images: GalleryDataModule, part: Path, made: PassRecord
    ) -> dict[str, Any]:
        """How long it took, and where."""
        layers, todo = backbone.extractor.layers, len(images.rows)
        with RowWriter(part, layers, self.gallery.files, todo, self.processes) as writer:
            trainer = self._trainer(writer)
            device = trainer.strategy.root_device
            log.info("embedding: %d images on %s, layers %s", todo, device, ", ".join(layers))
            if advice := devices.idle_gpu(device):
                bar = "=" * 80
                log.warning("%s\nTHIS MACHINE'S GPU IS NOT USED: %s\n%s", bar, advice, bar)
            start = time.perf_counter()
            if made.compiler:
                backbone.request_compile(made.batch, self.cfg.trainer.compile is Compile.always)
            with at_work():
                _run(trainer, backbone, images)
            seconds = time.perf_counter() - start - backbone.compile_seconds
        return {
            "embed_seconds": seconds,
            "compiler": None if backbone.compiled is None else made.compiler,
            "compile_seconds": backbone.compile_seconds,
            "waiting_for_data": writer.waited / seconds,
            "device": str(device),
            "idle_gpu": advice is not None,
        }

    def _log_throughput(self, n: int, took: dict[str, Any]) -> dict[str, Any]:
        """What is known of the pass, with the speed of all processes together."""
        rate, memory = n / took["embed_seconds"], devices.peak_memory()["peak_memory_gb"]
        log.info(
            "embedding: %.1f images/s, %.0f%% of the time waiting for data; %s, %s, %s, %.1f GB",
            *(rate, 100 * took["waiting_for_data"], took["device"], self.options["precision"]),
            *(took["compiler"] or "not compiled", memory),
        )
        return took | {"embedded_rows": n, "images_per_second": rate}

    def _trainer(self, writer: RowWriter) -> L.Trainer:
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        alone = self.processes.size == 1
        return L.Trainer(
            **placement(self.cfg.trainer),
            strategy="auto" if alone else DDPStrategy(**OVER_GLOO),
            # else a lone process within a Slurm job would be taken for one of srun's
            plugins=LightningEnvironment() if alone else None,
            precision=cast(Any, self.cfg.trainer.precision.name),
            use_distributed_sampler=False,  # each process has its own rows
            inference_mode=False,  # no_grad serves as well, and is what torch.compile is tried with
            callbacks=[writer],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    def _finish(self, part: Path, layers: list[str]) -> None:
        """Drop the rows of unreadable images, list them, say how it was made, move the folders."""
        finished, files = DoneRows(part), self.gallery.files
        if len(finished.rows) != len(files):
            raise UserError(f"{part} lacks rows that other processes have made: start again")
        unreadable = finished.unreadable
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
        checksums = list(self.gallery.works["sha256"].iloc[kept])
        missing = [layer for layer in layers if not (self.parent / layer).exists()]
        for folder in [part / layer for layer in missing]:
            keep_rows(folder / FEATURES, kept)
            np.save(folder / NAMES, np.array([files[row] for row in kept]))
            with (folder / SKIPPED).open("w", -1, "utf-8", "surrogateescape", "") as file:
                csv.writer(file).writerows([("file", "reason"), *skipped])
            describe(folder, self.options | {"layer": folder.name}, checksums)
            for left in folder.glob("*.part"):  # of a process that was killed on another machine
                left.unlink()
        for layer in missing:
            (part / layer).rename(self.parent / layer)
        shutil.rmtree(part)
        self._remove_superseded()

    def _remove_superseded(self) -> None:
        """Unfinished passes, over layers that are all there now."""
        for part in self.parent.glob("*.part"):
            layers = [path.parent.name for path in part.glob(f"*/{FEATURES}")]
            if all((self.parent / layer).is_dir() for layer in layers):
                shutil.rmtree(part)


def _run(trainer: L.Trainer, backbone: BackboneModule, images: GalleryDataModule) -> None:
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
