"""Pooling: from a layer's output to one vector per image. Imports no torch, which is slow to load.

To add a pooling: a name in config/enums.py, a case in pool, its help in config/backbone.py; a case
in row_width unless it gives a number per channel. If it has a parameter, also a field of Backbone
in config/backbone.py and a case in pooling_fingerprint.
"""

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from src.config import Backbone
from src.config.enums import Pooling
from src.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

OF_TOKENS = (Pooling.token, Pooling.patches)
IN_CACHE = 2**18  # numbers, 1 MB


class Output(NamedTuple):
    """Rows that a pass writes: those of a layer, pooled in one way."""

    layer: str
    pooling: Pooling


def pooling_axes(
    layer: str,
    shape: tuple[int, ...],
    larger: tuple[int, ...] | None,
    pooling: Pooling,
    prefix: int = 0,
) -> tuple[int, ...]:
    """Return the axes to pool a layer's output over, () for an output that is one row per image.

    shape is that of the output, (b, d), (b, tokens, d), (b, c, h, w) or (b, h, w, c); larger is its
    shape for a larger image, None for a network of one input size; prefix is that of pool. Raises
    UserError if token pooling meets an output without tokens, or meanstd one of a single position.
    """
    if pooling in OF_TOKENS and len(shape) != 3:
        others = ", ".join(each.name for each in Pooling if each not in OF_TOKENS)
        raise UserError(
            f"backbone.pooling={pooling.name} needs a layer of tokens (b, tokens, d), but {layer}"
            f" gives {shape}: choose one of {others}"
        )
    if pooling is Pooling.patches and shape[1] <= prefix:
        raise UserError(
            f"backbone.pooling=patches needs a layer with tokens of patches, but {layer} gives"
            f" {shape}: choose another layer, or backbone.pooling=token"
        )
    axes = _position_axes(shape, larger)
    if pooling is Pooling.meanstd and prod(shape[axis] for axis in axes) - prefix < 2:
        raise UserError(
            f"backbone.pooling=meanstd needs a layer with several positions or tokens, because one"
            f" has no standard deviation, but {layer} gives {shape}: choose an earlier layer, or"
            " backbone.pooling=avg"
        )
    return axes


def _position_axes(shape: tuple[int, ...], larger: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the axes of an output along which its positions or tokens lie."""
    if len(shape) < 4:
        return (1,) if len(shape) == 3 else ()
    # spatial axes grow with the image: Swin's features are (b, h, w, c)
    grown = tuple(axis for axis in (1, 2, 3) if larger and shape[axis] != larger[axis])
    if not grown and shape[1] == shape[2] != shape[3]:
        return (1, 2)
    return grown or (2, 3)


def row_width(channels: int, pooling: Pooling) -> int:
    """Return the width d of the rows that pool makes of an output of so many channels."""
    return 2 * channels if pooling is Pooling.meanstd else channels


def pool(output: "Tensor", axes: tuple[int, ...], options: Backbone, prefix: int = 0) -> "Tensor":
    """Pool output (b, ...) over axes: (b, d), in float32 whatever the network's precision.

    prefix is the number of tokens before those of patches: the class token and registers. They
    take no part in patches and meanstd.

    gem is the generalized mean of Radenovic et al., 2018: (mean x^p)^(1/p) of x clamped to 1e-6.
    meanstd joins the means and the standard deviations (n - 1) of the channels, which are the
    statistics of style of Huang and Belongie, 2017; each of the two parts has length 1, or 0.
    """
    output = output.float()
    if not axes:
        return output
    if output.ndim == 3 and options.pooling in (Pooling.patches, Pooling.meanstd):
        output = output[:, prefix:]
    match options.pooling:
        case Pooling.avg | Pooling.patches:
            return output.mean(axes).flatten(1)
        case Pooling.token:
            return output[:, 0]
        case Pooling.max:
            return output.amax(axes).flatten(1)
        case Pooling.gem:
            p = options.gem_p
            return output.clamp(min=1e-6).pow(p).mean(axes).pow(1 / p).flatten(1)
        case Pooling.meanstd:
            b = len(output)
            if output.device.type == "cpu":  # several times as fast while all stays in the cache
                b = max(1, IN_CACHE // output[0].numel())
            return _concatenated([_mean_and_std(part, axes) for part in output.split(b)])


def _mean_and_std(output: "Tensor", axes: tuple[int, ...]) -> "Tensor":
    """Return the unit rows of means and standard deviations over axes, side by side: (b, 2c).

    The variance is a mean of squared differences from the mean, never a difference of squares. All
    is relative to the first position, so that a channel of equal numbers has exactly the standard
    deviation 0: what rounding would leave of it could become the whole of a unit row.
    """
    first = output
    for axis in axes:
        first = first.narrow(axis, 0, 1)
    moved = output - first
    mean = moved.mean(axes, keepdim=True)
    squares = (moved - mean).square().sum(axes)
    std = (squares / (prod(output.shape[axis] for axis in axes) - 1)).sqrt()
    return _concatenated([_unit((first + mean).flatten(1)), _unit(std.flatten(1))], 1)


def _unit(rows: "Tensor") -> "Tensor":
    """Return rows (b, c) scaled to length 1; rows of zeros stay as they are."""
    norms = rows.square().sum(1, keepdim=True).sqrt()
    return rows / norms.masked_fill(norms == 0, 1)


def _concatenated(parts: "Sequence[Tensor]", axis: int = 0) -> "Tensor":
    import torch

    return torch.cat(list(parts), axis)


def pooling_fingerprint(options: Backbone) -> str:
    """Return what identifies the pooling in options.yaml: its name, and its parameter if any."""
    name = options.pooling.name
    return f"{name} {options.gem_p}" if options.pooling is Pooling.gem else name
