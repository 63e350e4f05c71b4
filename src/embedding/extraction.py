"""Feature extraction: one forward pass over the images writes several layers and poolings.

Rank 0 plans the pass and finishes its folders; all ranks share the images.
"""

import logging
import time
import warnings
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
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
from src.embedding.pooling import Output
from src.embedding.unfinished import (
    ExtractionPlan,
    PassRecord,
    begin_rows,
    finish,
    open_or_resume,
    plan_pass,
)
from src.embedding.writer import open_writer
from src.errors import keep_run_folder
from src.gallery import Gallery
from src.runtime import devices
from src.runtime.launch import DDP_OPTIONS, placement, without_srun_hint
from src.runtime.processes import ProcessGroup

log = logging.getLogger(__name__)


def extract(
    requests: list[EmbeddingRequest],
    outputs: list[Output],
    optional: set[Output],
    cfg: Config,
    processes: ProcessGroup,
) -> Facts:
    """Write <folder of a request>/<layer>/ for each of outputs; return the facts of the pass.

    There is a request for each pooling. Optional outputs that the network cannot give are left out.
    An interrupted pass is resumed. Raises UserError if the weights cannot be loaded, a layer does
    not exist, the disk has too little space, or no image can be read.
    """
    plan, backbone = _make_plan(requests, outputs, optional, cfg, processes)
    if cfg.backbone.weights == "random":
        log.warning("the network has random weights: it has learned nothing")
    facts: Facts = {"resumed_rows": plan.resumed_rows, "copied_rows": plan.copied_rows}
    if plan.rows:
        images = _datamodule(requests[0], plan, cfg, processes)
        facts |= _predict(backbone, images, plan, cfg, processes)
        _log_throughput(facts, cfg)
    processes.barrier()
    with keep_run_folder():
        escape = cfg.escape_formulas
        processes.broadcast_from_rank_zero(lambda: finish(plan.parts, requests, escape))
    return facts


def _make_plan(
    requests: list[EmbeddingRequest],
    outputs: list[Output],
    optional: set[Output],
    cfg: Config,
    processes: ProcessGroup,
) -> tuple[ExtractionPlan, BackboneModule]:
    """Return the plan, which rank 0 makes, and the network.

    Rank 0 needs the network to plan, so it is also the one that downloads the weights.
    """
    loaded: list[BackboneModule] = []

    def load(outputs: list[Output], optional: Collection[Output] = ()) -> dict[Output, int]:
        """Load the network cut at the layers of outputs; return the width of each one's rows."""
        transform = requests[0].transform
        loaded[:] = [load_backbone(cfg.backbone, outputs, transform, cfg.seed, optional)]
        return loaded[0].extractor.dims

    def make() -> ExtractionPlan:
        """Plan on rank 0."""
        dims = load(outputs, optional)
        opened = _open_folders(requests, dims, cfg, processes)
        resumed = [o for request, _, record in opened for o in request.outputs(record.layers)]
        if resumed != list(dims):  # an interrupted pass has more layers
            dims = load(resumed)
        parts = [begin_rows(request, folder, record, dims) for request, folder, record in opened]
        return plan_pass(parts, len(requests[0].gallery))

    plan = processes.broadcast_from_rank_zero(make)
    if not loaded:
        load(plan.outputs)
    return plan, loaded[0]


def _open_folders(
    requests: list[EmbeddingRequest],
    outputs: Collection[Output],
    cfg: Config,
    processes: ProcessGroup,
) -> list[tuple[EmbeddingRequest, Path, PassRecord]]:
    """Return the unfinished folder of each request that has any of outputs, and its record."""
    record, opened = _new_record(requests[0].gallery, cfg, processes), []
    # unless the user has chosen a batch size, the interrupted pass may have another one
    free = ["layers"] if cfg.data.batch_size else ["layers", "batch"]
    for request in requests:
        layers = [layer for layer, pooling in outputs if pooling is request.pooling]
        if layers:
            folder, record = open_or_resume(request.folder, replace(record, layers=layers), free)
            opened.append((request, folder, record))
            free = ["layers"]  # all share the batches of the first
    return opened


def _new_record(gallery: Gallery, cfg: Config, processes: ProcessGroup) -> PassRecord:
    """Return the settings of a new pass, as yet without layers."""
    device = devices.device_of(cfg.trainer.accelerator, processes.device)
    return PassRecord(
        layers=[],
        batch=min(cfg.data.batch_size or devices.batch_size(device), len(gallery)),
        compiler=chosen_compiler(cfg.trainer, len(gallery), device),
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
    n, folders = len(images.rows), [(part.folder, part.record.layers) for part in plan.parts]
    with (
        open_writer(folders, images.dataset.files, processes) as writer,
        Throughput(n, shown=processes.is_rank_zero) as throughput,
        ExitOnSigterm() as exit_on_sigterm,
        without_srun_hint(),
    ):
        guard = LoaderGuard(images, cfg.data.timeout)
        callbacks = [writer, throughput, Heartbeat(processes), exit_on_sigterm, guard]
        trainer = _trainer(callbacks, cfg, processes)
        device = trainer.strategy.root_device
        names = dict.fromkeys(output.layer for output in plan.outputs)
        log.info("embedding: %d images on %s, layers %s", n, device, ", ".join(names))
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
