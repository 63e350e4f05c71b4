"""TIFF files of all kinds against the arrays that they were written from."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from src.io.images import Unreadable, load_rgb, pixel_size
from tests.support.image_files import STORED
from tests.support.tiff_files import COMPRESSIONS, FLOAT, SIGNED, Kind, tiff

LIMIT = 1_000_000
GRAY, INVERTED, RGB, PALETTE, CMYK, LAB = 1, 0, 2, 3, 5, 8
RANDOM = np.random.default_rng(0)
SHAPE = (37, 50)  # no multiple of strips, tiles or bytes
PICTURE = RANDOM.random((*SHAPE, 3))  # 0 is black, 1 is white


def quantized(values: np.ndarray, bits: int) -> np.ndarray:
    """Values from 0 to 1 as whole numbers of so many bits."""
    dtype = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    return np.round(values * (2**bits - 1)).astype(dtype)


def load(path: Path, body: bytes) -> np.ndarray:
    path.write_bytes(body)
    return np.asarray(load_rgb(path, LIMIT)).astype(int)


def refused(path: Path, body: bytes, limit: int = LIMIT) -> str:
    path.write_bytes(body)
    with pytest.raises(Unreadable) as caught:
        load_rgb(path, limit)
    return str(caught.value)


@pytest.mark.parametrize("photometric", [GRAY, INVERTED, RGB])
@pytest.mark.parametrize("bits", [*range(1, 17), 20, 31, 32])
def test_a_picture_is_that_of_its_samples(tmp_path: Path, bits: int, photometric: int) -> None:
    values = PICTURE if photometric == RGB else PICTURE[..., :1]
    samples = quantized(values, bits)
    expected = np.broadcast_to(samples * (255 / (2**bits - 1)), PICTURE.shape)
    stored = samples ^ samples.dtype.type(2**bits - 1) if photometric == INVERTED else samples
    layouts = itertools.product(
        [False, True] if photometric == RGB else [False], COMPRESSIONS, "<>", [0, 16]
    )
    for planar, compression, order, tile in layouts:
        kind = Kind(bits, photometric, planar, compression, order, tile=tile)
        difference = np.abs(load(tmp_path / "a.tif", tiff(stored, kind)) - expected)
        assert difference.max() <= 1, kind
        assert pixel_size(tmp_path / "a.tif") == SHAPE[::-1]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("white", [1, 255, 65535])
@pytest.mark.parametrize("photometric", [GRAY, RGB])
def test_floats_of_any_range(tmp_path: Path, photometric: int, white: int, dtype: str) -> None:
    values = PICTURE if photometric == RGB else PICTURE[..., :1]
    if dtype == "f2" and white == 65535:
        values = values * 0.99  # float16 ends at 65,504
    samples = (values * white).astype(dtype)
    expected = np.broadcast_to(values * 255, PICTURE.shape)
    bits = samples.itemsize * 8
    for planar, compression, order in itertools.product([False, True], COMPRESSIONS, "<>"):
        kind = Kind(bits, photometric, planar, compression, order, FLOAT)
        assert np.abs(load(tmp_path / "a.tif", tiff(samples, kind)) - expected).max() <= 1, kind


@pytest.mark.parametrize("outlier", [1.02, 7.5, 300.0, -9.0, np.inf, -np.inf, np.nan])
def test_a_few_floats_out_of_range_change_no_other_pixel(tmp_path: Path, outlier: float) -> None:
    samples = PICTURE[..., :1].astype("f4")
    samples[:3, 0] = outlier
    loaded = load(tmp_path / "a.tif", tiff(samples, Kind(32, sample_format=FLOAT)))
    assert np.abs(loaded[3:] - PICTURE[3:, :, :1] * 255).max() <= 1
    assert set(loaded[:3, 0].flat) == {255 if outlier > 1 else 0}


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (PICTURE[..., :1] * 1e6, "floating-point samples from .* to .*: their range is none of"),
        (PICTURE[..., :1] * 2 - 1, "floating-point samples from -0.981 to 0.983"),
        (np.full((*SHAPE, 1), np.nan), "no finite sample"),
    ],
)
def test_floats_without_a_known_range_are_refused(
    tmp_path: Path, samples: np.ndarray, reason: str
) -> None:
    body = tiff(samples.astype("f4"), Kind(32, sample_format=FLOAT))
    (tmp_path / "a.tif").write_bytes(body)
    with pytest.raises(Unreadable, match=reason):
        load_rgb(tmp_path / "a.tif", LIMIT)


@pytest.mark.parametrize(("extra", "is_alpha"), [((0,), False), ((1,), True), ((2,), True)])
@pytest.mark.parametrize("photometric", [GRAY, INVERTED, RGB])
@pytest.mark.parametrize("bits", [8, 16])
def test_an_extra_sample_is_what_its_tag_says(
    tmp_path: Path, bits: int, photometric: int, extra: tuple[int, ...], is_alpha: bool
) -> None:
    values = PICTURE if photometric == RGB else PICTURE[..., :1]
    alpha = RANDOM.uniform(0.2, 1, (*SHAPE, 1))
    shown = values * alpha + 1 - alpha if is_alpha else values
    stored = values * alpha if extra == (1,) else values
    if photometric == INVERTED:
        stored = 1 - stored
    samples = quantized(np.concatenate([stored, alpha], -1), bits)
    for planar, compression in itertools.product([False, True], COMPRESSIONS):
        kind = Kind(bits, photometric, planar, compression, extra=extra)
        if photometric == INVERTED and extra == (1,):
            assert "zero is white" in refused(tmp_path / "a.tif", tiff(samples, kind))
            continue
        difference = load(tmp_path / "a.tif", tiff(samples, kind)) - shown * 255
        assert np.abs(difference).max() <= 3, kind  # premultiplied colors have fewer levels


@pytest.mark.parametrize("fill_order", [1, 2])
@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16])
def test_bits_of_a_byte_in_either_order(tmp_path: Path, bits: int, fill_order: int) -> None:
    samples = quantized(PICTURE[..., :1], bits)
    body = tiff(samples, Kind(bits, fill_order=fill_order))
    expected = samples * (255 / (2**bits - 1))
    assert np.abs(load(tmp_path / "a.tif", body) - expected).max() <= 1


@pytest.mark.parametrize("bits", [2, 8, 16])
@pytest.mark.parametrize("planar", [False, True])
def test_a_palette_is_looked_up(tmp_path: Path, bits: int, planar: bool) -> None:
    colors = RANDOM.integers(0, 2**16, (3, 2**bits))
    samples = RANDOM.integers(0, 2**bits, (*SHAPE, 1)).astype("u1" if bits <= 8 else "u2")
    kind = Kind(bits, PALETTE, planar, colormap=tuple(colors.ravel().tolist()))
    expected = np.moveaxis(colors[:, samples[..., 0]], 0, -1) / 257
    assert np.abs(load(tmp_path / "a.tif", tiff(samples, kind)) - expected).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [False, True])
def test_press_colors_become_rgb(tmp_path: Path, bits: int, planar: bool) -> None:
    inks = RANDOM.random((*SHAPE, 4))
    expected = np.asarray(Image.fromarray(quantized(inks, 8), "CMYK").convert("RGB")).astype(int)
    loaded = load(tmp_path / "a.tif", tiff(quantized(inks, bits), Kind(bits, CMYK, planar)))
    assert np.abs(loaded - expected).max() <= 2


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_lab_colors_become_rgb(tmp_path: Path, bits: int, planar: bool) -> None:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    smooth = np.stack(np.meshgrid(np.arange(50) * 2, np.arange(37) * 3), -1).astype(np.uint8)
    colors = np.dstack([smooth + 80, np.full(SHAPE, 120, np.uint8)])
    lab = ImageCms.profileToProfile(Image.fromarray(colors), *profiles, outputMode="LAB")
    samples = np.array(lab).astype(f"u{bits // 8}")  # a* and b* with a sign, as in TIFF
    if bits == 16:
        samples *= np.array([257, 256, 256], np.uint16)
    loaded = load(tmp_path / "a.tif", tiff(samples, Kind(bits, LAB, planar)))
    assert np.abs(loaded - colors).max() <= 10
    assert np.abs(loaded - colors).mean() <= 1.5


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("bits", [8, 12])
def test_every_orientation_is_turned_upright(tmp_path: Path, bits: int, orientation: int) -> None:
    upright = quantized(PICTURE, bits)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    loaded = load(tmp_path / "a.tif", tiff(stored, Kind(bits, RGB, orientation=orientation)))
    assert np.abs(loaded - upright * (255 / (2**bits - 1))).max() <= 1
    assert pixel_size(tmp_path / "a.tif") == SHAPE[::-1]


@pytest.mark.parametrize(
    ("kind", "samples", "reason"),
    [
        (Kind(16, sample_format=SIGNED), 1, "sample format 2"),
        (Kind(16, RGB, extra=(0, 2)), 5, "transparency other than"),
        (Kind(16, CMYK, extra=(2,)), 5, "transparency other than"),
        (Kind(8, 6), 3, "photometric interpretation 6"),
        (Kind(24, GRAY), 1, "24 bits per sample"),
        (Kind(12, 6), 3, "photometric interpretation 6"),
        (Kind(16, 9), 3, "photometric interpretation 9"),
        (Kind(16, 32803), 1, "photometric interpretation 32803"),
        (Kind(16, GRAY), 5, "5 samples per pixel"),
        (Kind(16, RGB), 2, "2 samples per pixel"),
        (Kind(12, PALETTE), 1, "a palette"),
        (Kind(32, LAB), 3, "L*a*b*"),
    ],
)
def test_a_kind_whose_picture_is_unknown_is_refused(
    tmp_path: Path, kind: Kind, samples: int, reason: str
) -> None:
    values = quantized(RANDOM.random((*SHAPE, samples)), kind.bits)
    assert reason in refused(tmp_path / "a.tif", tiff(values, kind))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_refused(tmp_path: Path, cut: float, compression: int) -> None:
    body = tiff(quantized(PICTURE, 12), Kind(12, RGB, compression=compression))
    start = int.from_bytes(body[4:8], "little")  # of the directory, which stays
    holes = body[: int(start * cut)] + b"\0" * (start - int(start * cut)) + body[start:]
    (tmp_path / "a.tif").write_bytes(body[: int(len(body) * cut)])
    with pytest.raises(Unreadable):
        load_rgb(tmp_path / "a.tif", LIMIT)
    if compression in (5, 8):  # zeros are pixels in the others
        refused(tmp_path / "a.tif", holes)


def test_limits_hold_before_anything_is_decoded(tmp_path: Path) -> None:
    body = tiff(quantized(PICTURE, 12), Kind(12, RGB, rows_per_strip=1))
    assert "1850 pixels, more than data.max_pixels=1849" in refused(tmp_path / "a.tif", body, 1849)
    tiles = tiff(quantized(PICTURE, 12), Kind(12, RGB, tile=64))
    assert "a tile of more pixels" in refused(tmp_path / "a.tif", tiles, 4095)
