"""The part of a network that computes several layers in one forward pass and pools each."""

import logging
from collections.abc import Collection, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from src.config import Backbone
from src.embedding.layers import cut
from src.embedding.pooling import Output, pool, pooling_axes, row_width
from src.embedding.transforms import Transform
from src.errors import UserError

log = logging.getLogger(__name__)

Shape = tuple[int, ...]


class Step(NamedTuple):
    """How the rows of an output are made of what the trunk computes."""

    node: str
    axes: Shape  # to pool over
    prefix: int  # tokens before those of patches
    dim: int  # the width d of a row


class Extractor(nn.Module):
    """Maps pixels to the pooled outputs of several layers."""

    def __init__(
        self,
        trunk: nn.Module,
        steps: dict[Output, Step],
        options: Backbone,
        transform: Transform,
    ) -> None:
        super().__init__()
        self.trunk = trunk  # returns the output of each node by name
        self.axes = {output: step.axes for output, step in steps.items()}
        self.dims = {output: step.dim for output, step in steps.items()}
        self._steps = [
            (step, replace(options, pooling=output.pooling)) for output, step in steps.items()
        ]
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(transform.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(transform.std)[:, None, None])
        self.eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return for each output the rows (b, d) float32 of images (b, size, size, 3) uint8."""
        pixels = images.permute(0, 3, 1, 2).float().div(255)  # channels_last: no copy
        computed = self.trunk((pixels - self.mean) / self.std)
        return [
            pool(computed[step.node], step.axes, options, step.prefix)
            for step, options in self._steps
        ]


def build_extractor(
    network: nn.Module,
    outputs: Sequence[Output],
    options: Backbone,
    transform: Transform,
    optional: Collection[Output] = (),
) -> Extractor:
    """Cut network at the layers of outputs; run it on blank images to find how each is pooled.

    Optional outputs that the network cannot give are left out. Raises UserError if another one's
    layer does not exist, has no row per image or does not suit its pooling.
    """
    required = {output.layer for output in outputs if output not in optional}
    layers = list(dict.fromkeys(output.layer for output in outputs))
    trunk, nodes = cut(network, layers, required, options.name, transform.size)
    trunk = trunk.requires_grad_(False).to(memory_format=torch.channels_last).eval()
    computed = _blank_outputs(trunk, transform.size)
    shapes = _shapes(computed)
    larger = _larger_shapes(trunk, transform.size) if 4 in map(len, shapes.values()) else {}
    steps: dict[Output, Step] = {}
    for output in outputs:
        try:
            if (node := nodes.get(output.layer)) is None:
                raise UserError(f"{output.layer} is not a node of {type(network).__name__}")
            shape = _row_shape(output.layer, computed[node])
            steps[output] = _step(output, node, shape, larger.get(node), network)
        except UserError as reason:
            if output not in optional:
                raise
            text = "embedding: %s with %s pooling is left out: %s"
            log.info(text, output.layer, output.pooling.name, reason)
    if len({output.layer for output in steps}) < len(nodes):  # compute what is needed alone
        return build_extractor(network, list(steps), options, transform)
    return Extractor(trunk, steps, options, transform)


def _step(
    output: Output, node: str, shape: Shape, larger: Shape | None, network: nn.Module
) -> Step:
    """Return how the rows of an output are made of what node computes for two images.

    larger is its shape for larger images, None if it is not known. Raises UserError if the shape
    does not suit the pooling.
    """
    prefix = _prefix(network, shape)
    axes = pooling_axes(output.layer, shape, larger, output.pooling, prefix)
    channels = prod(n for axis, n in enumerate(shape) if axis and axis not in axes)
    return Step(node, axes, prefix, row_width(channels, output.pooling))


def _prefix(network: nn.Module, shape: Shape) -> int:
    """Return how many class tokens and registers come before the tokens of patches in an output.

    0 for one without tokens, and for one of patches that no such token has joined yet.
    """
    if len(shape) != 3:
        return 0
    if isinstance(network, VisionTransformer):  # torchvision's
        return int(shape[1] == network.seq_length)
    patches = getattr(getattr(network, "patch_embed", None), "num_patches", None)
    prefix = int(getattr(network, "num_prefix_tokens", 0))  # timm's
    return 0 if shape[1] == patches else prefix


def _row_shape(layer: str, computed: Any) -> Shape:
    """Return the shape of what a layer computed for two images.

    Raises UserError unless that is a row per image, or positions or tokens to pool.
    """
    shape = tuple(computed.shape) if isinstance(computed, Tensor) else ()
    if len(shape) not in (2, 3, 4) or shape[0] != 2:
        raise UserError(
            f"backbone.layer={layer} gives {shape or type(computed).__name__} for two images"
            " instead of a row each: choose another layer"
        )
    return shape


@torch.inference_mode()
def _blank_outputs(trunk: nn.Module, size: int) -> dict[str, Any]:
    """Return the outputs of all nodes for two blank images of size x size pixels."""
    outputs: dict[str, Any] = trunk(torch.zeros(2, 3, size, size))
    return outputs


def _larger_shapes(trunk: nn.Module, size: int) -> dict[str, Shape]:
    """Return the shapes for larger images, {} for a network that accepts one input size only."""
    try:
        with redirect_stderr(StringIO()):  # torch.fx prints a traceback as well as raising
            return _shapes(_blank_outputs(trunk, size + 64))
    except (AssertionError, RuntimeError, ValueError):
        return {}


def _shapes(outputs: dict[str, Any]) -> dict[str, Shape]:
    return {
        node: tuple(output.shape) for node, output in outputs.items() if isinstance(output, Tensor)
    }
