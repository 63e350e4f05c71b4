"""The part of a network that computes several layers in one forward pass and pools each."""

from contextlib import redirect_stderr
from io import StringIO
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from src.config import Backbone
from src.embedding.layers import cut
from src.embedding.pooling import pool, pooling_axes, row_width
from src.embedding.transforms import Transform
from src.errors import UserError

Shape = tuple[int, ...]


class Extractor(nn.Module):
    """Maps pixels to the pooled outputs of several layers."""

    def __init__(
        self,
        trunk: nn.Module,
        nodes: dict[str, str],
        axes: dict[str, Shape],
        dims: dict[str, int],
        options: Backbone,
        transform: Transform,
    ) -> None:
        super().__init__()
        self.trunk = trunk  # returns the output of each node by name
        self.layers = list(nodes)
        self.nodes = nodes  # by layer
        self.axes = axes  # by layer, to pool over
        self.dims = dims  # by layer, the width d of a row
        self.options = options
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(transform.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(transform.std)[:, None, None])
        self.eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return for each layer the rows (b, d) float32 of images (b, size, size, 3) uint8."""
        pixels = images.permute(0, 3, 1, 2).float().div(255)  # channels_last: no copy
        outputs = self.trunk((pixels - self.mean) / self.std)
        return [
            pool(outputs[self.nodes[layer]], self.axes[layer], self.options)
            for layer in self.layers
        ]


def build_extractor(
    network: nn.Module, layers: list[str], options: Backbone, transform: Transform
) -> Extractor:
    """Cut network at layers; run it on blank images to find how each is pooled.

    Raises UserError if a layer does not exist or its output has no row per image.
    """
    trunk, nodes = cut(network, layers, options.name, transform.size)
    trunk = trunk.requires_grad_(False).to(memory_format=torch.channels_last).eval()
    outputs = _blank_outputs(trunk, transform.size)
    shapes = _shapes(outputs)
    larger = _larger_shapes(trunk, transform.size) if 4 in map(len, shapes.values()) else {}
    axes, dims = {}, {}
    for layer, node in nodes.items():
        shape = shapes.get(node, ())
        if len(shape) not in (2, 3, 4) or shape[0] != 2:
            raise UserError(
                f"backbone.layer={layer} gives"
                f" {shape or type(outputs[node]).__name__} for two images instead of a row each:"
                " choose another layer"
            )
        axes[layer] = pooling_axes(layer, shape, larger.get(node), options.pooling)
        channels = prod(n for axis, n in enumerate(shape) if axis and axis not in axes[layer])
        dims[layer] = row_width(channels, options.pooling)
    return Extractor(trunk, nodes, axes, dims, options, transform)


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
