"""Scale the samples of an image to 8 bits, black to 0 and white to 255."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from src.io.unreadable import Unreadable

WHITES = (1.0, 255.0, 65535.0)  # that images of floating-point samples use
HEADROOM = 2.0  # highlights may exceed white by this factor
BLOCK = 2**20  # samples converted at once, and at most looked at to guess white


def integers_to_8_bit(samples: NDArray[np.unsignedinteger], bits: int) -> NDArray[np.uint8]:
    """Return unsigned samples, of which 2^bits - 1 is white, as 8 bits, rounded.

    >>> integers_to_8_bit(np.array([0, 2048, 4095], np.uint16), 12)
    array([  0, 128, 255], dtype=uint8)
    """
    result = np.empty(samples.shape, np.uint8)
    scale, flat, scaled = _scale(min(bits, 16)), samples.reshape(-1), result.reshape(-1)
    for start in range(0, flat.size, BLOCK):  # numpy widens indices to 8 bytes
        block = flat[start : start + BLOCK]
        scaled[start : start + BLOCK] = scale[block >> (bits - 16) if bits > 16 else block]
    return result


@cache
def _scale(bits: int) -> NDArray[np.uint8]:
    """Return the 8-bit value of each value of so many bits."""
    white = 2**bits - 1
    scaled: NDArray[np.float64] = np.arange(white + 1) * (255 / white)
    return scaled.round().astype(np.uint8)


def floats_to_8_bit(samples: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return floating-point samples as 8 bits, rounded; NaN becomes black.

    No format says what white is, so it is guessed: 1, 255 or 65535, the least that 99% of the
    samples exceed by at most HEADROOM. A few values that are larger, or infinite, change nothing.
    Raises Unreadable if the samples fit none of these ranges.
    """
    flat = samples.reshape(-1)
    probe = flat[:: flat.size // BLOCK + 1]
    finite = probe[np.isfinite(probe)]
    if not finite.size:
        raise Unreadable("no finite sample")
    low, high = np.percentile(finite, (1, 99))
    white = next((white for white in WHITES if high <= HEADROOM * white), None)
    if white is None or low < -white / 4:
        raise Unreadable(
            f"floating-point samples from {low:.3g} to {high:.3g}: their range is none of 0..1,"
            " 0..255 and 0..65535"
        )
    result = np.empty(samples.shape, np.uint8)
    scaled = result.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        block = flat[start : start + BLOCK].astype(np.float64) * (255 / white)
        np.nan_to_num(block, copy=False, posinf=255, neginf=0)
        scaled[start : start + BLOCK] = np.round(block.clip(0, 255, out=block), out=block)
    return result
