"""Feature extraction: one forward pass over the images writes the rows of several layers.

Rank 0 plans the pass and finishes its folder; all ranks share the images.
"""

import logging
import time
import warnings
from typing import Any, cast

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from src.config import Config
from src.config.enums import Compile
from src.embedding.backbone import BackboneModule, load_backbone
from src.embedding.cache import EmbeddingRequest, Facts
from src.embedding.callbacks import ExitOnSigterm, Heartbeat, Throughput
from src.embedding.compilation import chosen_compiler
from src.embedding.dataset import GalleryDataModule, PaintingsDataset
from src.embedding.loader_guard import LoaderGuard
from src.embedding.unfinished import (
    ExtractionPlan,
    PassRecord,
    finish,
    open_or_resume,
    plan_rows,
)
from src.embedding.writer import open_writer
from src.errors import keep_run_folder
from src.gallery import Gallery
from src.runtime import devices
from src.runtime.launch import DDP_OPTIONS, placement, without_srun_hint
from src.runtime.processes import ProcessGroup

log = logging.getLogger(__name__)


def extract(
    request: EmbeddingRequest, layers: list[str], cfg: Config, processes: ProcessGroup
) -> Facts:
    """Write request.folder/<layer>/ for each of layers in one pass; return the facts of the pass.

    An interrupted pass is resumed. Raises UserError if the weights cannot be loaded, a layer does
    not exist, the disk has too little space, or no image can be read.
    """
    plan, backbone = _make_plan(request, layers, cfg, processes)
    if cfg.backbone.weights == "random":
        log.warning("the network has random weights: it has learned nothing")
    facts: Facts = {"resumed_rows": plan.resumed_rows, "copied_rows": plan.copied_rows}
    if plan.rows:
        images = _datamodule(request, plan, cfg, processes)
        facts |= _predict(backbone, images, plan, cfg, processes)
        _log_throughput(facts, cfg)
    processes.barrier()
    with keep_run_folder():
        processes.broadcast_from_rank_zero(lambda: finish(plan, request, cfg.escape_formulas))
    return facts


def _make_plan(
    request: EmbeddingRequest, layers: list[str], cfg: Config, processes: ProcessGroup
) -> tuple[ExtractionPlan, BackboneModule]:
    """Return the plan, which rank 0 makes, and the network.

    Rank 0 needs the network to plan, so it is also the one that downloads the weights.
    """
    loaded: list[BackboneModule] = []

    def load(layers: list[str]) -> BackboneModule:
        """Load the network cut at layers."""
        loaded.append(load_backbone(cfg.backbone, layers, request.transform, cfg.seed))
        return loaded[0]

    def make() -> ExtractionPlan:
        """Plan on rank 0."""
        record = _new_record(request.gallery, layers, cfg, processes)
        # unless the user has chosen a batch size, the interrupted pass may have another one
        free = ["layers"] if cfg.data.batch_size else ["layers", "batch"]
        folder, record = open_or_resume(request.folder, record, free)
        return plan_rows(request, folder, record, load(record.layers).extractor.dims)

    plan = processes.broadcast_from_rank_zero(make)
    return plan, loaded[0] if loaded else load(plan.record.layers)


def _new_record(
    gallery: Gallery, layers: list[str], cfg: Config, processes: ProcessGroup
) -> PassRecord:
    """Return the settings of a new pass."""
    device = devices.device_of(cfg.trainer.accelerator, processes.device)
    n = len(gallery)
    return PassRecord(
        layers=layers,
        batch=min(cfg.data.batch_size or devices.batch_size(device), n),
        compiler=chosen_compiler(cfg.trainer, n, device),
        device=devices.processor_name(device, architecture=True),
        torch=torch.__version__,
    )


def _datamodule(
    request: EmbeddingRequest, plan: ExtractionPlan, cfg: Config, processes: ProcessGroup
) -> GalleryDataModule:
    """Return this rank's share of the images, in whole batches.

    The batches are the same for any number of processes, and so are the bits of their rows.
    """
    rows, size = plan.rows, plan.record.batch
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    # Trainer.predict refuses an empty DataLoader: a rank without a batch repeats the last one
    shard = batches[processes.rank :: processes.world_size] or batches[-1:]
    workers = cfg.data.workers
    if workers is None:
        workers = devices.worker_count(cfg.trainer.devices)
    if workers and (obstacle := devices.worker_obstacle(workers)):
        log.warning("data.workers=%d: %s; the main process decodes the images", workers, obstacle)
        workers = 0
    dataset = PaintingsDataset(request.gallery, request.transform, cfg.data.max_pixels)
    pin_memory = devices.device_of(cfg.trainer.accelerator, processes.device).type == "cuda"
    shard_rows = [row for batch in shard for row in batch]
    return GalleryDataModule(dataset, shard_rows, size, workers, pin_memory)


def _predict(
    backbone: BackboneModule,
    images: GalleryDataModule,
    plan: ExtractionPlan,
    cfg: Config,
    processes: ProcessGroup,
) -> Facts:
    """Write the rows of images to the files in plan.folder; return timings and device."""
    layers, n = backbone.extractor.layers, len(images.rows)
    with (
        open_writer(plan.folder, layers, images.dataset.files, processes) as writer,
        Throughput(n, shown=processes.is_rank_zero) as throughput,
        ExitOnSigterm() as exit_on_sigterm,
        without_srun_hint(),
    ):
        guard = LoaderGuard(images, cfg.data.timeout)
        callbacks = [writer, throughput, Heartbeat(processes), exit_on_sigterm, guard]
        trainer = _trainer(callbacks, cfg, processes)
        device = trainer.strategy.root_device
        log.info("embedding: %d images on %s, layers %s", n, device, ", ".join(layers))
        if advice := devices.idle_gpu(device):
            log.warning("this machine has a GPU that is not used: %s", advice)
        start = time.perf_counter()
        if plan.record.compiler:
            always = cfg.trainer.compile is Compile.always
            backbone.request_compile(plan.record.batch, required=always)
        with keep_run_folder(), guard:
            _run(trainer, backbone, images)
        seconds = time.perf_counter() - start - backbone.compile_seconds
    return {
        "embed_seconds": seconds,
        "compiler": None if backbone.compiled is None else plan.record.compiler,
        "compile_seconds": backbone.compile_seconds,
        "waiting_for_data": throughput.waiting_seconds / seconds,
        "device": str(device),
        "idle_gpu": advice is not None,
        "embedded_rows": len(plan.rows),
        "images_per_second": len(plan.rows) / seconds,
    }


def _trainer(callbacks: list[L.Callback], cfg: Config, processes: ProcessGroup) -> L.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    single = processes.world_size == 1
    return L.Trainer(
        **placement(cfg.trainer),
        strategy="auto" if single else DDPStrategy(**DDP_OPTIONS),
        # without it, a single process within a Slurm job would be taken for one of srun's
        plugins=LightningEnvironment() if single else None,
        precision=cast(Any, cfg.trainer.precision.name),
        use_distributed_sampler=False,  # each rank has its own rows
        inference_mode=False,  # no_grad is enough, and torch.compile is tested with it
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _run(trainer: L.Trainer, backbone: BackboneModule, images: GalleryDataModule) -> None:
    with warnings.catch_warnings():
        # data.workers suits the machine; Lightning always recommends more
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # more workers than cores are what the user asked for
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        # Lightning 2.6 calls what torch 2.12 and later deprecate
        warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.`", FutureWarning)
        try:
            trainer.predict(backbone, datamodule=images, return_predictions=False)
        except SystemExit as stop:
            if stop.code == 1:  # how Lightning ends at Ctrl-C
                raise KeyboardInterrupt from stop
            raise


def _log_throughput(facts: Facts, cfg: Config) -> None:
    """Log the speed of all processes together, and where the time went."""
    log.info(
        "embedding: %.1f images/s, %.0f%% of the time waiting for data; %s, %s, %s, %.1f GB",
        facts["images_per_second"],
        100 * facts["waiting_for_data"],
        facts["device"],
        cfg.trainer.precision.name,
        facts["compiler"] or "not compiled",
        devices.peak_memory()["peak_memory_gb"],
    )
