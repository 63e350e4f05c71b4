"""The part of a network that computes several layers in one forward pass and pools each."""

from contextlib import redirect_stderr
from io import StringIO
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from src.config.enums import Pooling
from src.embedding.layers import cut
from src.embedding.pooling import pool, pooling_axes
from src.embedding.transforms import Transform
from src.errors import UserError


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
        self.axes, self.dims = self._infer_pooling_axes(prepare.size)  # by layer

    @torch.inference_mode()
    def _infer_pooling_axes(self, size: int) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
        """For each layer the axes to pool over and the width d of a row, found by trying."""
        tried = self.cut(torch.zeros(2, 3, size, size))
        shapes = _shapes(tried)
        larger = (
            self._shapes_at_larger_input(size)
            if any(len(shape) == 4 for shape in shapes.values())
            else {}
        )
        axes, dims = {}, {}
        for layer, node in self.nodes.items():
            shape = shapes.get(node, ())
            if len(shape) not in (2, 3, 4) or shape[0] != 2:
                raise UserError(
                    f"backbone.layer={layer} gives no row an image, but"
                    f" {shape or type(tried[node]).__name__} for two: choose another"
                )
            own = pooling_axes(layer, shape, larger.get(node), self.pooling)
            axes[layer] = own
            dims[layer] = prod(n for axis, n in enumerate(shape) if axis and axis not in own)
        return axes, dims

    def _shapes_at_larger_input(self, size: int) -> dict[str, tuple[int, ...]]:
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
