"""The network cut at its layers, and the pooling of their outputs to one row an image."""

import logging
import time
from contextlib import redirect_stderr
from io import StringIO
from math import prod
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from src import config
from src.checks import UserError
from src.choices import Pooling
from src.compiled import Compiled, compiled
from src.data import Batch
from src.layers import cut
from src.network import load_network
from src.transforms import Transform

log = logging.getLogger(__name__)


class Extractor(nn.Module):
    """Pixels to the pooled outputs of several layers."""

    def __init__(
        self,
        network: nn.Module,
        layers: list[str],
        pooling: Pooling,
        gem_p: float,
        prepare: Transform,
    ) -> None:
        super().__init__()
        trunk, self.nodes = cut(network, layers)
        self.cut = trunk.requires_grad_(False).to(memory_format=torch.channels_last)
        self.layers, self.pooling, self.gem_p = layers, pooling, gem_p
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(prepare.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(prepare.std)[:, None, None])
        self.eval()
        self.axes, self.dims = self._probe(prepare.size)  # by layer

    @torch.inference_mode()
    def _probe(self, size: int) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
        """For each layer the axes to pool over and the width d of a row, found by trying."""
        tried = self.cut(torch.zeros(2, 3, size, size))
        shapes = _shapes(tried)
        larger = self._larger(size) if any(len(shape) == 4 for shape in shapes.values()) else {}
        axes, dims = {}, {}
        for layer, node in self.nodes.items():
            shape = shapes.get(node, ())
            if len(shape) not in (2, 3, 4) or shape[0] != 2:
                raise UserError(
                    f"backbone.layer={layer} gives no row an image, but"
                    f" {shape or type(tried[node]).__name__} for two: choose another"
                )
            own = _axes(layer, shape, larger.get(node), self.pooling)
            axes[layer] = own
            dims[layer] = prod(n for axis, n in enumerate(shape) if axis and axis not in own)
        return axes, dims

    def _larger(self, size: int) -> dict[str, tuple[int, ...]]:
        """The shapes of a larger image; empty for a network of one input size alone."""
        try:
            with redirect_stderr(StringIO()):  # torch.fx prints a traceback beside raising
                return _shapes(self.cut(torch.zeros(2, 3, size + 64, size + 64)))
        except (AssertionError, RuntimeError, ValueError):
            return {}

    def forward(self, images: Tensor) -> list[Tensor]:
        """(b, size, size, 3) uint8 -> for each layer (b, d) float32."""
        pixels = images.permute(0, 3, 1, 2).float().div(255)  # channels_last, as it lies in memory
        outputs = self.cut((pixels - self.mean) / self.std)
        return [
            pool(outputs[self.nodes[layer]], self.pooling, self.axes[layer], self.gem_p)
            for layer in self.layers
        ]


def _shapes(outputs: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {
        node: tuple(output.shape) for node, output in outputs.items() if isinstance(output, Tensor)
    }


def _axes(
    layer: str, shape: tuple[int, ...], larger: tuple[int, ...] | None, pooling: Pooling
) -> tuple[int, ...]:
    """The axes to pool a layer over. Raises UserError when it gives no tokens for token pooling."""
    if pooling is Pooling.token and len(shape) != 3:
        raise UserError(
            f"backbone.pooling=token needs a layer of tokens (b, tokens, d), {layer} gives"
            f" {shape}: choose avg, max or gem"
        )
    if len(shape) < 4:
        return (1,) if len(shape) == 3 else ()
    # those that grow with the image: Swin's features are (b, h, w, c)
    grown = tuple(axis for axis in (1, 2, 3) if larger and shape[axis] != larger[axis])
    if not grown and shape[1] == shape[2] != shape[3]:
        return (1, 2)
    return grown or (2, 3)


class Backbone(L.LightningModule):
    """Embeds batches. Where the device has too little memory, half as many images at once."""

    def __init__(self, extractor: Extractor, size: int) -> None:
        super().__init__()
        self.extractor, self.size = extractor, size
        self.at_once = 0  # images; 0: as they come
        self.compiled: Compiled | None = None
        self.compile_seconds, self.must = 0.0, False

    def compile_for(self, batch_size: int, must: bool) -> None:
        """Compile before the first of batches of at most that many images; if it must, or else."""
        self.at_once, self.must = batch_size, must

    def on_predict_start(self) -> None:
        """Compile before the clock runs; torch.compile does at the first batch."""
        if not self.at_once:
            return
        began, whole = time.perf_counter(), self.at_once
        blank = torch.zeros(whole, self.size, self.size, 3, dtype=torch.uint8, device=self.device)
        try:
            made = compiled(self.extractor, self.size, self.device)
            object.__setattr__(self, "compiled", made)  # not as a module of this one: it is there
            with self.trainer.precision_plugin.predict_step_context():
                self(blank)
        except Exception as error:  # whatever a compiler meets in a network; it is told
            reason = (str(error).strip() or repr(error)).splitlines()[0]
            if self.must or isinstance(error, UserError):
                raise UserError(f"trainer.compile=always: {reason}; auto goes without") from error
            log.warning("embedding: the network cannot be compiled and goes without: %s", reason)
            self.compiled, self.at_once = None, 0
        self.compile_seconds = time.perf_counter() - began
        if self.compiled is not None:
            log.info("embedding: the network is compiled, %.1f s", self.compile_seconds)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(b, size, size, 3) uint8 -> for each layer (b, d) float32. Raises UserError."""
        while (rows := self._tried(images)) is None:
            self.at_once = (self.at_once or len(images)) // 2
            if not self.at_once:
                raise UserError(
                    f"{self.device} has too little memory for a single image: take a smaller"
                    " backbone.name, or trainer.accelerator=cpu"
                )
            log.warning(
                "%s is out of memory: from here on %d images at once", self.device, self.at_once
            )
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        return rows

    def _tried(self, images: Tensor) -> list[Tensor] | None:
        """The rows; None when there is not enough memory."""
        try:
            parts = [self._part(part) for part in images.split(self.at_once or len(images))]
        except RuntimeError as error:
            # torch has a class for this on NVIDIA's GPUs alone
            text = str(error).lower()
            if "out of memory" in text or "can't allocate memory" in text:
                return None
            raise
        return [torch.cat(rows) for rows in zip(*parts, strict=True)]

    def _part(self, images: Tensor) -> list[Tensor]:
        if self.compiled is None:
            return self.extractor(images)  # type: ignore[no-any-return]
        missing = self.at_once - len(images)
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


def pool(output: Tensor, pooling: Pooling, axes: tuple[int, ...], gem_p: float) -> Tensor:
    """(b, ...) -> (b, d) over axes, in float32 whatever the network's precision.

    gem is the generalized mean of Radenovic et al., 2018: (mean x^p)^(1/p) of x clamped to 1e-6.
    """
    output = output.float()
    if not axes:
        return output
    match pooling:
        case Pooling.token:
            return output[:, 0]
        case Pooling.max:
            return output.amax(axes).flatten(1)
        case Pooling.gem:
            return output.clamp(min=1e-6).pow(gem_p).mean(axes).pow(1 / gem_p).flatten(1)
        case _:
            return output.mean(axes).flatten(1)


def load_backbone(
    backbone: config.Backbone, layers: list[str], prepare: Transform, seed: int
) -> Backbone:
    """The network, ready to embed images that were prepared so. Raises UserError."""
    network = load_network(backbone, seed)
    extractor = Extractor(network, layers, backbone.pooling, backbone.gem_p, prepare)
    return Backbone(extractor, prepare.size)
