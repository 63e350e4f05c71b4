"""The LightningModule: runs batches through the extractor, compiled if requested."""

import logging
import time
from collections.abc import Collection, Sequence

import lightning as L
import torch
from torch import Tensor, nn

from src import config
from src.embedding.compilation import Compiled, compiled
from src.embedding.dataset import Batch
from src.embedding.extractor import Extractor, build_extractor
from src.embedding.models import load_network
from src.embedding.pooling import Output
from src.embedding.transforms import Transform
from src.errors import UserError

log = logging.getLogger(__name__)


class BackboneModule(L.LightningModule):
    """Embeds batches; halves the batch size each time the device runs out of memory."""

    def __init__(self, extractor: Extractor, size: int) -> None:
        super().__init__()
        self.extractor = extractor
        self.size = size  # pixels, the side of an image
        self.max_batch = 0  # images per forward pass; 0: no limit
        self.compiled: Compiled | None = None
        self.compile_seconds, self.compile_required = 0.0, False

    def request_compile(self, batch_size: int, required: bool) -> None:
        """Compile on predict start for batches of up to batch_size images.

        If required, a compiler error raises UserError; otherwise the network runs uncompiled.
        """
        self.max_batch, self.compile_required = batch_size, required

    def on_predict_start(self) -> None:
        """Compile if requested; a batch of blank images makes torch.compile do it now."""
        if not self.max_batch:
            return
        log.info("embedding: compiling the network")
        start = time.perf_counter()
        blank = torch.zeros(
            self.max_batch, self.size, self.size, 3, dtype=torch.uint8, device=self.device
        )
        try:
            self.compiled = compiled(self.extractor, self.size, self.device)
            with self.trainer.precision_plugin.predict_step_context():
                self(blank)
        except Exception as error:  # compilers raise anything
            reason = (str(error).strip() or repr(error)).splitlines()[0]
            if self.compile_required or isinstance(error, UserError):
                raise UserError(
                    f"trainer.compile=always: {reason}; auto runs the network uncompiled"
                ) from error
            log.warning("embedding: the network cannot be compiled and runs uncompiled: %s", reason)
            self.compiled, self.max_batch = None, 0
        self.compile_seconds = time.perf_counter() - start
        if self.compiled is not None:
            log.info("embedding: network compiled in %.1f s", self.compile_seconds)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return for each output the rows (b, d) float32 of images (b, size, size, 3) uint8.

        Raises UserError if the device has too little memory for a single image.
        """
        while (rows := self._forward_or_none(images)) is None:
            self.max_batch = (self.max_batch or len(images)) // 2
            if not self.max_batch:
                raise UserError(
                    f"{self.device} has too little memory for a single image: choose a smaller"
                    " backbone.name, or trainer.accelerator=cpu"
                )
            log.warning(
                "out of memory on %s: batch size reduced to %d", self.device, self.max_batch
            )
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        return rows

    def _forward_or_none(self, images: Tensor) -> list[Tensor] | None:
        """Return the rows in chunks of max_batch, None if the device runs out of memory."""
        try:
            chunks = [
                self._forward_chunk(chunk) for chunk in images.split(self.max_batch or len(images))
            ]
        except RuntimeError as error:
            # only on NVIDIA's GPUs torch has an exception class for this
            text = str(error).lower()
            if "out of memory" in text or "can't allocate memory" in text:
                return None
            raise
        return [torch.cat(rows) for rows in zip(*chunks, strict=True)]

    def _forward_chunk(self, images: Tensor) -> list[Tensor]:
        if self.compiled is None:
            return self.extractor(images)  # type: ignore[no-any-return]
        padding = self.max_batch - len(images)
        if not padding or images.device.type == "cpu":
            return self.compiled(images)
        # torch.compile would compile again for another batch size
        padded = nn.functional.pad(images, (0, 0, 0, 0, 0, 0, 0, padding))
        return [rows[: len(images)] for rows in self.compiled(padded)]

    def predict_step(self, batch: Batch) -> list[Tensor]:
        """Return for each output the rows of a batch, (0, d) if none of its images was readable."""
        if not batch.rows:
            return [torch.empty(0, dim) for dim in self.extractor.dims.values()]
        return self(batch.images)  # type: ignore[no-any-return]


def load_backbone(
    backbone: config.Backbone,
    outputs: Sequence[Output],
    transform: Transform,
    seed: int,
    optional: Collection[Output] = (),
) -> BackboneModule:
    """Load the network and cut it at the layers of outputs, ready for images as by transform.

    Optional outputs that the network cannot give are left out. Raises UserError if the weights
    cannot be loaded, or if another output is impossible.
    """
    extractor = build_extractor(
        load_network(backbone, seed), outputs, backbone, transform, optional
    )
    return BackboneModule(extractor, transform.size)
