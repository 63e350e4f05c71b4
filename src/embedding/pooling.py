"""Pooling: from a layer's output to one vector per image. Imports no torch, which is slow to load.

To add a pooling: a name in config/enums.py, a case in pool, its help in config/backbone.py. If it
has a parameter, also a field of Backbone in config/backbone.py and a case in pooling_fingerprint.
"""

from typing import TYPE_CHECKING

from src.config import Backbone
from src.config.enums import Pooling
from src.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def pooling_axes(
    layer: str, shape: tuple[int, ...], larger: tuple[int, ...] | None, pooling: Pooling
) -> tuple[int, ...]:
    """Return the axes to pool a layer's output over, () for an output that is one row per image.

    shape is that of the output, (b, d), (b, tokens, d), (b, c, h, w) or (b, h, w, c); larger is its
    shape for a larger image, None for a network of one input size. Raises UserError if token
    pooling meets an output without tokens.
    """
    if pooling is Pooling.token and len(shape) != 3:
        others = ", ".join(name for name in Pooling.__members__ if name != "token")
        raise UserError(
            f"backbone.pooling=token needs a layer of tokens (b, tokens, d), but {layer} gives"
            f" {shape}: choose one of {others}"
        )
    if len(shape) < 4:
        return (1,) if len(shape) == 3 else ()
    # spatial axes grow with the image: Swin's features are (b, h, w, c)
    grown = tuple(axis for axis in (1, 2, 3) if larger and shape[axis] != larger[axis])
    if not grown and shape[1] == shape[2] != shape[3]:
        return (1, 2)
    return grown or (2, 3)


def pool(output: "Tensor", axes: tuple[int, ...], options: Backbone) -> "Tensor":
    """Pool output (b, ...) over axes: (b, d), in float32 whatever the network's precision.

    gem is the generalized mean of Radenovic et al., 2018: (mean x^p)^(1/p) of x clamped to 1e-6.
    """
    output = output.float()
    if not axes:
        return output
    match options.pooling:
        case Pooling.avg:
            return output.mean(axes).flatten(1)
        case Pooling.token:
            return output[:, 0]
        case Pooling.max:
            return output.amax(axes).flatten(1)
        case Pooling.gem:
            p = options.gem_p
            return output.clamp(min=1e-6).pow(p).mean(axes).pow(1 / p).flatten(1)


def pooling_fingerprint(options: Backbone) -> str:
    """Return what identifies the pooling in options.yaml: its name, and its parameter if any."""
    name = options.pooling.name
    return f"{name} {options.gem_p}" if options.pooling is Pooling.gem else name
