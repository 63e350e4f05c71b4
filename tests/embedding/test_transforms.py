"""Resizing of images against torchvision and Pillow, and decoding at a smaller size."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from torchvision import transforms
from torchvision.transforms import InterpolationMode, v2

from src.config.enums import Decode, Resize
from src.embedding.transforms import Transform
from src.io.images import load_rgb
from tests.support.embedding import MEAN, STD

SQUASH = Transform(Resize.squash, 32, 40, None, MEAN, STD)
CROP, PAD = replace(SQUASH, resize=Resize.crop), replace(SQUASH, resize=Resize.pad)
SIZES = [(40, 40), (64, 48), (37, 91), (91, 37), (200, 33), (31, 5), (500, 333), (33, 34)]


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def smooth(width: int, height: int) -> Image.Image:
    return noise(7, 7).resize((width, height), Image.Resampling.BICUBIC)


def torchvision_crop(image: Image.Image, interpolation: InterpolationMode) -> np.ndarray:
    steps = [transforms.Resize(40, interpolation), transforms.CenterCrop(32)]
    return np.asarray(transforms.Compose(steps)(image))


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """To the bit, and pixels."""
    return (a.dtype, a.shape) == (np.uint8, (32, 32, 3)) and np.array_equal(a, b)


def close(a: np.ndarray, b: np.ndarray, levels: int) -> bool:
    return a.dtype == b.dtype == np.uint8 and int(np.abs(a.astype(int) - b).max()) <= levels


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resize", [transforms.Resize, v2.Resize])
def test_squash_equals_torchvision(size: tuple[int, int], resize: type) -> None:
    image = noise(*size)
    assert same(SQUASH(image), np.asarray(resize((32, 32))(image)))


@pytest.mark.parametrize("size", SIZES)
def test_crop_equals_torchvision_to_two_levels(size: tuple[int, int]) -> None:
    image = noise(*size)
    assert close(CROP(image), torchvision_crop(image, InterpolationMode.BILINEAR), 2)


@pytest.mark.parametrize("size", SIZES)
def test_a_bicubic_crop_equals_torchvision_on_smooth_pictures(size: tuple[int, int]) -> None:
    image = smooth(*size)
    bicubic = replace(CROP, interpolation="bicubic")
    assert close(bicubic(image), torchvision_crop(image, InterpolationMode.BICUBIC), 2)


@pytest.mark.parametrize("size", [(80, 20), (20, 80)])
def test_pad_keeps_the_whole_picture(size: tuple[int, int]) -> None:
    padded = PAD(Image.new("RGB", size, "white"))
    padded = padded if size[0] > size[1] else padded.swapaxes(0, 1)
    assert padded[12:20].min() == 255
    assert padded[:12].max() == padded[20:].max() == 0


@pytest.mark.parametrize("size", SIZES)
def test_pad_equals_pillow(size: tuple[int, int]) -> None:
    image = noise(*size)
    assert same(PAD(image), SQUASH(ImageOps.pad(image, (32, 32), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize("resize", Resize)
@pytest.mark.parametrize("max_side", [None, 200])
@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (1, 1_000_000)])
def test_thin_pictures_become_squares(
    resize: Resize, max_side: int | None, size: tuple[int, int]
) -> None:
    make = replace(SQUASH, resize=resize, max_side=max_side)
    square = make(Image.new("RGB", size, "white"))
    assert (square.shape, square.dtype) == ((32, 32, 3), np.uint8)
    assert square.max() == 255


def test_large_pictures_are_first_reduced() -> None:
    image = smooth(300, 200)
    expected = image.copy()
    expected.thumbnail((60, 60))
    assert expected.size == (60, 40)
    reduced = replace(SQUASH, max_side=60)(image.copy())
    assert same(reduced, SQUASH(expected))
    assert not same(reduced, SQUASH(image))


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (3, 3)])
def test_small_pictures_are_never_enlarged_first(size: tuple[int, int]) -> None:
    image = noise(*size)
    assert same(replace(SQUASH, max_side=60)(image.copy()), SQUASH(image))


@pytest.mark.parametrize(
    ("make", "size", "decoded"),
    [
        (SQUASH, (512, 2048), (64, 256)),  # twice 32 on the shorter side at least
        (SQUASH, (511, 2048), (128, 512)),
        (SQUASH, (127, 2048), (127, 2048)),
        (SQUASH, (128, 128), (64, 64)),
        (PAD, (512, 2048), (64, 256)),  # the longer side counts, and 1/8 is the least
        (CROP, (640, 641), (80, 81)),  # 40 on the shorter side before the crop
        (CROP, (639, 641), (160, 161)),
        (replace(SQUASH, max_side=600), (2400, 2048), (1200, 1024)),
        (replace(SQUASH, decode=Decode.full), (512, 2048), (512, 2048)),
        (PAD, (1, 20_000), (1, 20_000)),
    ],
)
@pytest.mark.parametrize("sideways", [False, True])
def test_a_large_jpeg_is_decoded_smaller(
    make: Transform,
    size: tuple[int, int],
    decoded: tuple[int, int],
    sideways: bool,
    tmp_path: Path,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6 if sideways else 1
    smooth(*size).save(tmp_path / "a.jpg", exif=exif)
    image = load_rgb(tmp_path / "a.jpg", 10**8, make.min_decode_size)
    assert image.size == (decoded[::-1] if sideways else decoded)


@pytest.mark.parametrize("make", [SQUASH, CROP, PAD])
def test_a_smaller_decoding_looks_the_same(make: Transform, tmp_path: Path) -> None:
    smooth(1024, 768).save(tmp_path / "a.jpg", quality=95)
    scaled = make(load_rgb(tmp_path / "a.jpg", 10**8, make.min_decode_size))
    whole = make(load_rgb(tmp_path / "a.jpg", 10**8))
    assert not same(scaled, whole)
    assert np.abs(scaled.astype(int) - whole).mean() < 1


def test_a_transforms_fingerprint_tells_its_options_apart() -> None:
    others = [CROP, PAD, replace(SQUASH, size=33), replace(SQUASH, max_side=60)]
    others.append(replace(SQUASH, decode=Decode.full))
    assert len({each.fingerprint() for each in [SQUASH, *others]}) == 6


def test_a_fingerprint_is_the_text_of_earlier_versions() -> None:
    """Another text for the same transform would make every gallery be embedded again."""
    transform = Transform(Resize.crop, 224, 232, 60, MEAN, STD, "bicubic", Decode.full)
    assert transform.fingerprint() == (
        "Transform(resize=<Resize.crop: 'crop'>, size=224, crop_from=232, longer_side=60,"
        " mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), interpolation='bicubic',"
        " decode=<Decode.full: 'full'>)"
    )
