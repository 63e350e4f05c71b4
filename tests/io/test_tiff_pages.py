"""TIFF files with other pages, with strips or tiles missing, and with many bytes of samples."""

import struct
from pathlib import Path

import numpy as np
import pytest

from src.io.images import pixel_size
from tests.io.test_tiff import PICTURE, RGB, SHAPE, load, quantized, refused
from tests.support.tiff_files import FLOAT, Kind, tiff


def two_pages(first: bytes, second: bytes) -> bytes:
    """A TIFF with the pages of two; the offsets in the second move."""
    shift = len(first)
    start = int.from_bytes(second[4:8], "little")
    count = int.from_bytes(second[start : start + 2], "little")
    body = bytearray(second)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, code, number, value = struct.unpack("<HHLL", body[at : at + 12])
        width = {3: 2, 4: 4, 7: 1}[code] * number
        if width > 4:
            if tag == 273:
                offsets = struct.unpack(f"<{number}L", body[value : value + width])
                moved = struct.pack(f"<{number}L", *(offset + shift for offset in offsets))
                body[value : value + width] = moved
            body[at + 8 : at + 12] = struct.pack("<L", value + shift)
    return first[:-4] + struct.pack("<L", start + shift) + bytes(body)


@pytest.mark.parametrize("subfile_type", [1, 4, 5])
def test_a_reduced_page_and_a_mask_are_not_the_picture(tmp_path: Path, subfile_type: int) -> None:
    picture = quantized(PICTURE, 8)
    small = tiff(picture[::4, ::4], Kind(8, RGB, subfile_type=subfile_type))
    body = two_pages(small, tiff(picture, Kind(8, RGB)))
    assert (load(tmp_path / "a.tif", body) == picture).all()
    assert pixel_size(tmp_path / "a.tif") == SHAPE[::-1]
    assert "neither reduced nor a mask" in refused(tmp_path / "a.tif", small)


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("tile", [0, 16])
def test_missing_strips_and_tiles_are_refused(tmp_path: Path, tile: int, bits: int) -> None:
    body = tiff(quantized(PICTURE, bits), Kind(bits, RGB, tile=tile))
    assert load(tmp_path / "a.tif", body).any()
    start = int.from_bytes(body[4:8], "little")
    entries = range(
        start + 2, start + 2 + 12 * int.from_bytes(body[start : start + 2], "little"), 12
    )
    (entry,) = (
        at for at in entries if body[at : at + 2] == struct.pack("<H", 324 if tile else 273)
    )
    values = int.from_bytes(body[entry + 8 : entry + 12], "little")
    sparse = body[: values + 4] + bytes(4) + body[values + 8 :]
    few = body[: entry + 4] + struct.pack("<L", 4) + body[entry + 8 :]
    for damaged in (sparse, few):
        assert "strips or tiles are missing" in refused(tmp_path / "a.tif", damaged)


def test_samples_of_many_bytes_are_refused(tmp_path: Path) -> None:
    body = tiff(np.zeros((*SHAPE, 6)), Kind(64, RGB, sample_format=FLOAT, extra=(0, 0, 0)))
    assert "6 samples per pixel of 64 bits" in refused(tmp_path / "a.tif", body)
