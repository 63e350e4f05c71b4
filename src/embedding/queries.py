"""Embed any image as a run has embedded its gallery: same network, layers, pooling and transform.

Imports torch when the network is loaded, which is at the first call that needs it. q = queries,
d = width of a row.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from src.config import Config
from src.config.enums import Compile
from src.embedding.crop import WHOLE, Crop
from src.embedding.joining import LayerJoin, is_joined, joined_rows
from src.embedding.pooling import Output
from src.embedding.transforms import Pixels, Transform
from src.errors import UserError
from src.io.images import load_with_remark
from src.io.unreadable import Unreadable
from src.runtime.progress import Watch, unwatched

if TYPE_CHECKING:
    import torch

    from src.embedding.compilation import Compiled
    from src.embedding.extractor import Extractor
    from src.similarity.postprocess import FittedPostprocess

log = logging.getLogger(__name__)


class QueryEmbedder:
    """Embeds images by the options of a run, on its device, else on the CPU.

    folder holds the run's rows, and how their layers were whitened if they were.
    """

    def __init__(self, cfg: Config, join: LayerJoin, transform: Transform, folder: Path) -> None:
        self.cfg, self.join, self.transform, self.folder = cfg, join, transform, folder
        self._whitenings: list[FittedPostprocess] | None = None
        self._lock = Lock()
        self._loaded: tuple[Extractor, torch.device] | None = None
        self._compiled: Compiled | None = None

    def decode(self, path: Path, crop: Crop = WHOLE) -> Pixels:
        """Return the network's input for a part of an image file: (size, size, 3) uint8.

        The whole of a file is decoded as a run does. Raises Unreadable, or OSError.
        """
        image, _ = load_with_remark(
            path,
            self.cfg.data.max_pixels,
            lambda *size: crop.min_decode_size(self.transform.min_decode_size, *size),
        )
        return self.transform(crop.of(image))

    def rows(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """Return the features of decoded images, (q, d), before any post-processing.

        Raises UserError if the network or the whitening of layers cannot be loaded, or if a feature
        is not finite.
        """
        extractor, device = self._network()
        import torch

        with torch.inference_mode(), self._precision(device):
            batch = torch.from_numpy(np.stack(images)).to(device)
            parts = [rows.cpu().numpy() for rows in (self._compiled or extractor)(batch)]
        rows = parts[0]
        if is_joined(self.join.folder):
            rows = joined_rows(parts, self.join.shares, self._whitenings)
        if not np.isfinite(rows).all():
            raise UserError(
                "the embedding of an image holds NaN or infinity: try a run with"
                " trainer.precision=32-true, or another backbone.layer"
            )
        return rows

    def _network(self) -> "tuple[Extractor, torch.device]":
        """Return the network and its device; whoever comes first loads it, the others wait."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> "tuple[Extractor, torch.device]":
        # not load_backbone, whose module imports Lightning: two more seconds before an answer
        from src.embedding.extractor import build_extractor
        from src.embedding.models import load_network
        from src.runtime.devices import device_of

        log.info("query: loading %s", self.cfg.backbone.name)
        network = load_network(self.cfg.backbone, self.cfg.seed)
        layers, options = self.join.layers, self.cfg.backbone
        outputs = [Output(layer, options.pooling) for layer in layers]
        extractor = build_extractor(network, outputs, options, self.transform)
        if self.join.is_whitened:
            from src.embedding.whitening import read_whitening

            self._whitenings = read_whitening(self.folder, layers)
        device = device_of(self.cfg.trainer.accelerator)
        return extractor.to(device), device

    def _precision(self, device: "torch.device") -> AbstractContextManager[object]:
        """Return the context in which Lightning runs the network in trainer.precision.

        A CPU computes in float32 what a GPU did in float16, which is as exact or better.
        """
        import torch

        name = self.cfg.trainer.precision.name
        if name == "bf16-mixed":
            return torch.autocast(device.type, dtype=torch.bfloat16)
        if name == "16-mixed" and device.type != "cpu":
            return torch.autocast(device.type, dtype=torch.float16)
        return nullcontext()

    def prepare(self, n: int) -> None:
        """Compile the network on a CPU if n images are worth it, as a run does. For one thread."""
        from src.embedding.compilation import chosen_compiler, compiled

        extractor, device = self._network()
        options = self.cfg.trainer
        if options.compile is not Compile.never:  # always must not end a question
            options = replace(options, compile=Compile.auto, devices=1)
        if device.type != "cpu" or chosen_compiler(options, n, device) is None:
            return
        try:
            self._compiled = compiled(extractor, self.transform.size, device)
        except Exception as error:  # compilers raise anything
            log.warning("query: the network cannot be compiled and runs uncompiled: %s", error)

    @property
    def batch_size(self) -> int:
        """Return the number of images that go through the network at once."""
        from src.runtime.devices import batch_size

        return self.cfg.data.batch_size or min(64, batch_size(self._network()[1]))


def embed_files(
    embedder: QueryEmbedder, paths: Sequence[Path], watch: Watch = unwatched
) -> Iterator[tuple[Path, NDArray[np.float32] | str]]:
    """Yield each file with its row (d,), or with the reason why it cannot be read, in order.

    While one batch goes through the network, threads decode the next one. It is not Lightning's
    predict loop, which a run uses: that writes a gallery, hashes all files and keeps their rows,
    and a question should leave nothing behind. Threads do as well as its processes, since Pillow
    decodes and resizes without Python's lock. watch goes through the files.
    """
    from src.runtime.devices import cores

    embedder.prepare(len(paths))
    size = embedder.batch_size
    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    seen = iter(watch(paths, "embedding", len(paths)))
    pool = ThreadPoolExecutor(cores())
    try:
        ahead = _submit(pool, embedder, batches[0]) if batches else []
        for number, batch in enumerate(batches, 1):
            found = [future.result() for future in ahead]
            ahead = _submit(pool, embedder, batches[number]) if number < len(batches) else []
            pixels = [image for image in found if not isinstance(image, str)]
            rows = iter(embedder.rows(pixels) if pixels else ())
            for path, image in zip(batch, found, strict=True):
                next(seen)
                yield path, image if isinstance(image, str) else next(rows)
        next(seen, None)  # the end, which closes a progress bar
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(
    pool: ThreadPoolExecutor, embedder: QueryEmbedder, paths: Sequence[Path]
) -> list[Future[Pixels | str]]:
    return [pool.submit(_decode_or_reason, embedder, path) for path in paths]


def _decode_or_reason(embedder: QueryEmbedder, path: Path) -> Pixels | str:
    """Return the pixels of a file, or why it cannot be read."""
    try:
        return embedder.decode(path)
    except Unreadable as reason:
        return str(reason)
    except OSError as error:
        return error.strerror or str(error)
    except MemoryError:
        return "too little memory to decode it"
