"""A writer of TIFF files of all kinds, independent of the libraries that read them (TIFF 6.0)."""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import imagecodecs
import numpy as np

COMPRESSIONS: dict[int, Callable[[bytes], bytes]] = {
    1: bytes,
    5: imagecodecs.lzw_encode,
    8: zlib.compress,
    32773: imagecodecs.packbits_encode,
}
UNSIGNED, SIGNED, FLOAT = 1, 2, 3


@dataclass(frozen=True)
class Kind:
    """How the samples lie in a file."""

    bits: int = 8
    photometric: int = 1
    planar: bool = False
    compression: int = 1
    order: str = "<"
    sample_format: int = UNSIGNED
    extra: tuple[int, ...] = ()
    rows_per_strip: int = 7
    tile: int = 0  # side of the tiles, a multiple of 16; 0: strips
    orientation: int = 1
    colormap: tuple[int, ...] = ()
    icc: bytes = b""
    fill_order: int = 1
    subfile_type: int = 0


def tiff(samples: np.ndarray, kind: Kind) -> bytes:
    """A TIFF of samples (h, w, s)."""
    height, width, count = samples.shape
    segments = [_packed(segment, kind) for segment in _segments(samples, kind)]
    tags: dict[int, tuple[str, tuple[int, ...] | bytes]] = {
        254: ("L", (kind.subfile_type,)),
        256: ("L", (width,)),
        257: ("L", (height,)),
        258: ("H", (kind.bits,) * count),
        259: ("H", (kind.compression,)),
        262: ("H", (kind.photometric,)),
        266: ("H", (kind.fill_order,)),
        274: ("H", (kind.orientation,)),
        277: ("H", (count,)),
        284: ("H", (2 if kind.planar else 1,)),
        339: ("H", (kind.sample_format,) * count),
    }
    if kind.extra:
        tags[338] = ("H", kind.extra)
    if kind.colormap:
        tags[320] = ("H", kind.colormap)
    if kind.icc:
        tags[34675] = ("s", kind.icc)
    if kind.tile:
        tags[322] = tags[323] = ("L", (kind.tile,))
    else:
        tags[278] = ("L", (kind.rows_per_strip,))
    return _file(tags, segments, kind)


def _segments(samples: np.ndarray, kind: Kind) -> Iterator[np.ndarray]:
    """The strips or tiles (h, w, s) in their order, plane by plane."""
    planes = np.split(samples, samples.shape[2], axis=2) if kind.planar else [samples]
    for plane in planes:
        if not kind.tile:
            for top in range(0, len(plane), kind.rows_per_strip):
                yield plane[top : top + kind.rows_per_strip]
            continue
        below, right = (-side % kind.tile for side in plane.shape[:2])
        padded = np.pad(plane, ((0, below), (0, right), (0, 0)))
        for top in range(0, len(padded), kind.tile):
            for left in range(0, padded.shape[1], kind.tile):
                yield padded[top : top + kind.tile, left : left + kind.tile]


def _packed(segment: np.ndarray, kind: Kind) -> bytes:
    """A segment as bytes: each row starts at a byte, the highest bit first."""
    if kind.bits in (8, 16, 32, 64):
        body = segment.astype(segment.dtype.newbyteorder(kind.order)).tobytes()
    else:
        rows = segment.reshape(len(segment), -1).astype(np.uint64)
        places = np.arange(kind.bits - 1, -1, -1, dtype=np.uint64)
        bits = (rows[..., None] >> places & np.uint64(1)).astype(np.uint8)
        body = np.packbits(bits.reshape(len(rows), -1), axis=1).tobytes()
    body = COMPRESSIONS[kind.compression](body)
    if kind.fill_order == 2:
        flipped = np.unpackbits(np.frombuffer(body, np.uint8)).reshape(-1, 8)[:, ::-1]
        body = np.packbits(flipped).tobytes()
    return body


def _file(
    tags: dict[int, tuple[str, tuple[int, ...] | bytes]], segments: list[bytes], kind: Kind
) -> bytes:
    """The header, the segments, the values of tags, and the directory at the end."""
    body = bytearray(8)
    offsets = []
    for segment in segments:
        offsets.append(len(body))
        body += segment + b"\0" * (len(segment) % 2)
    where, lengths = (324, 325) if kind.tile else (273, 279)
    tags = tags | {where: ("L", tuple(offsets)), lengths: ("L", tuple(map(len, segments)))}
    entries = b""
    for number, (letter, values) in sorted(tags.items()):
        code = {"H": 3, "L": 4, "s": 7}[letter]
        packed = (
            values
            if isinstance(values, bytes)
            else struct.pack(f"{kind.order}{len(values)}{letter}", *values)
        )
        if len(packed) > 4:
            start = struct.pack(f"{kind.order}L", len(body))
            body += packed + b"\0" * (len(packed) % 2)
            packed = start
        entries += struct.pack(f"{kind.order}HHL", number, code, len(values))
        entries += packed.ljust(4, b"\0")
    body[:8] = {"<": b"II*\0", ">": b"MM\0*"}[kind.order] + struct.pack(f"{kind.order}L", len(body))
    return bytes(body) + struct.pack(f"{kind.order}H", len(tags)) + entries + bytes(4)
