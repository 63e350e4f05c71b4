"""Pooling: from a layer's output to one vector per image."""

from torch import Tensor

from src.config.enums import Pooling
from src.errors import UserError


def pooling_axes(
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
