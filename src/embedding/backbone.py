"""The network cut at its layers, and the pooling of their outputs to one row an image."""

import logging
import time

import lightning as L
import torch
from torch import Tensor, nn

from src.config import schema
from src.embedding.compilation import Compiled, compiled
from src.embedding.dataset import Batch
from src.embedding.extractor import Extractor
from src.embedding.models import load_network
from src.embedding.transforms import Transform
from src.errors import UserError

log = logging.getLogger(__name__)


class BackboneModule(L.LightningModule):
    """Embeds batches. Where the device has too little memory, half as many images at once."""

    def __init__(self, extractor: Extractor, size: int) -> None:
        super().__init__()
        self.extractor, self.size = extractor, size
        self.max_batch = 0  # images; 0: as they come
        self.compiled: Compiled | None = None
        self.compile_seconds, self.compile_required = 0.0, False

    def request_compile(self, batch_size: int, compile_required: bool) -> None:
        """Compile before the first of batches of at most that many images; if it must, or else."""
        self.max_batch, self.compile_required = batch_size, compile_required

    def on_predict_start(self) -> None:
        """Compile before the clock runs; torch.compile does at the first batch."""
        if not self.max_batch:
            return
        began, whole = time.perf_counter(), self.max_batch
        blank = torch.zeros(whole, self.size, self.size, 3, dtype=torch.uint8, device=self.device)
        try:
            made = compiled(self.extractor, self.size, self.device)
            object.__setattr__(self, "compiled", made)  # not as a module of this one: it is there
            with self.trainer.precision_plugin.predict_step_context():
                self(blank)
        except Exception as error:  # whatever a compiler meets in a network; it is told
            reason = (str(error).strip() or repr(error)).splitlines()[0]
            if self.compile_required or isinstance(error, UserError):
                raise UserError(f"trainer.compile=always: {reason}; auto goes without") from error
            log.warning("embedding: the network cannot be compiled and goes without: %s", reason)
            self.compiled, self.max_batch = None, 0
        self.compile_seconds = time.perf_counter() - began
        if self.compiled is not None:
            log.info("embedding: the network is compiled, %.1f s", self.compile_seconds)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(b, size, size, 3) uint8 -> for each layer (b, d) float32. Raises UserError."""
        while (rows := self._forward_or_none(images)) is None:
            self.max_batch = (self.max_batch or len(images)) // 2
            if not self.max_batch:
                raise UserError(
                    f"{self.device} has too little memory for a single image: take a smaller"
                    " backbone.name, or trainer.accelerator=cpu"
                )
            log.warning(
                "%s is out of memory: from here on %d images at once", self.device, self.max_batch
            )
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        return rows

    def _forward_or_none(self, images: Tensor) -> list[Tensor] | None:
        """The rows; None when there is not enough memory."""
        try:
            parts = [
                self._forward_chunk(part) for part in images.split(self.max_batch or len(images))
            ]
        except RuntimeError as error:
            # torch has a class for this on NVIDIA's GPUs alone
            text = str(error).lower()
            if "out of memory" in text or "can't allocate memory" in text:
                return None
            raise
        return [torch.cat(rows) for rows in zip(*parts, strict=True)]

    def _forward_chunk(self, images: Tensor) -> list[Tensor]:
        if self.compiled is None:
            return self.extractor(images)  # type: ignore[no-any-return]
        missing = self.max_batch - len(images)
        if not missing or images.device.type == "cpu":
            return self.compiled(images)
        # a batch of another size would be compiled for anew
        whole = nn.functional.pad(images, (0, 0, 0, 0, 0, 0, 0, missing))
        return [rows[: len(images)] for rows in self.compiled(whole)]

    def predict_step(self, batch: Batch) -> list[Tensor]:
        """For each layer the rows of a batch, none where no image of it could be read."""
        if not batch.rows:
            return [torch.empty(0, dim) for dim in self.extractor.dims.values()]
        return self(batch.images)  # type: ignore[no-any-return]


def load_backbone(
    backbone: schema.Backbone, layers: list[str], prepare: Transform, seed: int
) -> BackboneModule:
    """The network, ready to embed images that were prepared so. Raises UserError."""
    network = load_network(backbone, seed)
    extractor = Extractor(network, layers, backbone.pooling, backbone.gem_p, prepare)
    return BackboneModule(extractor, prepare.size)
