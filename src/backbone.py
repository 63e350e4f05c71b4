"""The network cut at its layers, and the pooling of their outputs to one row an image."""

import logging
import time
from contextlib import redirect_stderr
from io import StringIO
from math import prod
from typing import cast

import lightning as L
import torch
from torch import Tensor, nn
from torchvision.models import feature_extraction

from src import config
from src.checks import UserError, near
from src.compiled import Compiled, compiled
from src.config import Pooling
from src.data import Batch, Transform
from src.network import is_resnet, load_network

log = logging.getLogger(__name__)


def joined_layers(backbone: config.Backbone) -> list[str]:
    """The layers whose rows, joined, are the embedding; mostly one. Raises UserError."""
    parts = [_known_as(part, backbone) for part in backbone.layer.split("+")]
    if len(set(parts)) < len(parts):
        raise UserError(f"backbone.layer={backbone.layer} names a layer twice")
    return parts


def written_layers(backbone: config.Backbone) -> list[str]:
    """The layers that one pass writes, those of backbone.layer among them."""
    every = backbone.layers
    if every is None:
        every = ["layer1", "layer2", "layer3", "layer4"] if is_resnet(backbone) else []
    return list(
        dict.fromkeys([*(_known_as(layer, backbone) for layer in every), *joined_layers(backbone)])
    )


def _known_as(layer: str, backbone: config.Backbone) -> str:
    # avgpool is a ResNet's last layer before its classifier; pooled here, by backbone.pooling
    return "layer4" if layer == "avgpool" and is_resnet(backbone) else layer


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
        nodes = {_node(network, layer): layer for layer in layers}
        cut = feature_extraction.create_feature_extractor(
            network, nodes, suppress_diff_warning=True
        )
        self.cut = cut.requires_grad_(False).to(memory_format=torch.channels_last)
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
        shapes = {
            layer: tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            for layer, output in tried.items()
        }
        larger = self._larger(size) if any(len(shape) == 4 for shape in shapes.values()) else {}
        axes, dims = {}, {}
        for layer, shape in shapes.items():
            axes[layer] = _axes(layer, shape, larger.get(layer), self.pooling)
            left = [n for axis, n in enumerate(shape) if axis and axis not in axes[layer]]
            dims[layer] = prod(cast(list[int], left))
        return axes, dims

    def _larger(self, size: int) -> dict[str, tuple[int, ...]]:
        """The shapes of a larger image; empty for a network of one input size alone."""
        try:
            with redirect_stderr(StringIO()):  # torch.fx prints a traceback beside raising
                tried = self.cut(torch.zeros(2, 3, size + 64, size + 64))
        except (AssertionError, RuntimeError, ValueError):
            return {}
        return {layer: tuple(output.shape) for layer, output in tried.items()}

    def forward(self, images: Tensor) -> list[Tensor]:
        """(b, size, size, 3) uint8 -> for each layer (b, d) float32."""
        pixels = images.permute(0, 3, 1, 2).float().div(255)  # channels_last, as it lies in memory
        outputs = self.cut((pixels - self.mean) / self.std)
        return [
            pool(outputs[layer], self.pooling, self.axes[layer], self.gem_p)
            for layer in self.layers
        ]


def _axes(
    layer: str, shape: tuple[int, ...] | str, larger: tuple[int, ...] | None, pooling: Pooling
) -> tuple[int, ...]:
    """The axes to pool a layer over. Raises UserError when it gives no row an image."""
    if isinstance(shape, str) or len(shape) not in (2, 3, 4) or shape[0] != 2:
        raise UserError(
            f"backbone.layer={layer} gives no row an image, but {shape} for two: choose another"
        )
    if pooling is Pooling.token and len(shape) != 3:
        raise UserError(
            f"backbone.pooling=token needs a layer of tokens (b, tokens, d), {layer} gives"
            f" {shape}: choose avg, max or gem"
        )
    if len(shape) < 4:
        return (1,) if len(shape) == 3 else ()
    # those that grow with the image: Swin's features are (b, h, w, c)
    grown = [axis for axis in (1, 2, 3) if larger and shape[axis] != larger[axis]]
    return tuple(grown) or (2, 3)


class Backbone(L.LightningModule):
    """Embeds batches. Where the device has too little memory, half as many images at once."""

    def __init__(self, extractor: Extractor, size: int) -> None:
        super().__init__()
        self.extractor, self.size = extractor, size
        self.at_once = 0  # images; 0: as they come
        self.compiled: Compiled | None = None
        self.compile_seconds = 0.0

    def compile_for(self, batch_size: int, device: torch.device) -> None:
        """From here on the network is compiled, for batches of at most that many images."""
        began = time.perf_counter()
        made = compiled(self.extractor, self.size, device)
        object.__setattr__(self, "compiled", made)  # not as a module of this one: it is there
        self.at_once = batch_size
        self.compile_seconds = time.perf_counter() - began

    def on_predict_start(self) -> None:
        """The first batch takes as long as torch.compile does: before the clock runs."""
        if self.compiled is not None:
            began = time.perf_counter()
            blank = torch.zeros(self.at_once, self.size, self.size, 3, dtype=torch.uint8)
            with self.trainer.precision_plugin.predict_step_context():
                self(blank.to(self.device))
            self.compile_seconds += time.perf_counter() - began
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
            # torch has a class for this on GPUs alone
            if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
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


def _node(network: nn.Module, layer: str) -> str:
    """Raises UserError when the network has no such node."""
    names = feature_extraction.get_graph_node_names(network, suppress_diff_warning=True)[1]
    known = {".".join(n.split(".")[: i + 1]) for n in names for i in range(n.count(".") + 1)}
    if layer not in known:
        last = [name for name in names if name.count(".") < 2][-5:]
        hint = near(layer, known) or f"; its last ones: {', '.join(last)}"
        raise UserError(f"backbone.layer={layer} is not a node of {type(network).__name__}{hint}")
    return layer
