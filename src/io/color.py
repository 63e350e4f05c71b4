"""Convert images of any mode to sRGB, by their embedded color profile where they have one."""

import io
from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageCms

from src.io.profile_steps import check_profile
from src.io.samples import floats_to_8_bit, integers_to_8_bit

CACHED_BYTES = 2**20  # a larger one is read again for each image
SAME = 3  # of 255: profiles that change no color by more are taken for sRGB
BROKEN_PROFILE = "its color profile is broken or of another color space, and is ignored"

PROFILE_ERRORS = (ImageCms.PyCMSError, OSError, ValueError)  # of broken ones

Convert = Callable[[Image.Image], Image.Image]


def to_rgb(image: Image.Image) -> tuple[Image.Image, str]:
    """Return an image of any mode as sRGB, transparency over white, and a remark, "" if none.

    The remark says that the profile was ignored.
    """
    profile = image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        image = _to_8_bit_gray(image)
    if not image.has_transparency_data:
        return _without_alpha(image, profile)
    if image.mode not in ("LA", "RGBA"):
        image = image.convert("LA" if image.mode in ("1", "L", "La") else "RGBA")
    white, remark = Image.new("RGB", image.size, "white"), ""
    if profile:
        colors, remark = _without_alpha(image.convert(image.mode[:-1]), profile)
        white.paste(colors, mask=image.getchannel("A"))
    else:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        white.paste(image, mask=image)
    return white, remark


def _to_8_bit_gray(image: Image.Image) -> Image.Image:
    """Return gray of 16 bits or floating point as 8 bits; convert() would clip it.

    Pillow scales integers of other depths to 16 bits, but for TIFF, which src.io.tiff reads.
    """
    samples = np.asarray(image)
    if image.mode == "F":
        return Image.fromarray(floats_to_8_bit(samples))
    if samples.dtype.itemsize > 2:
        samples = samples.clip(0, 65535).astype(np.uint16)
    gray = integers_to_8_bit(samples, 16)
    key = image.info.get("transparency")  # of a PNG: the value that is transparent
    if not isinstance(key, int):
        return Image.fromarray(gray)
    return Image.fromarray(np.dstack([gray, np.where(samples == key, 0, 255).astype(np.uint8)]))


def changes_colors(image: Image.Image) -> bool:
    """Return whether an image, of which the header is enough, has a profile that is not sRGB's."""
    profile = image.info.get("icc_profile")
    if not profile:
        return False
    mode = image.mode if image.mode in ("L", "CMYK") else "RGB"
    mode = "L" if image.mode in ("1", "LA", "La") else mode
    try:
        return profile_to_srgb(profile, mode) is not None
    except PROFILE_ERRORS:
        return False


def _without_alpha(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """Return an image without transparency as sRGB, and a remark."""
    if image.mode == "LAB":  # defined by itself
        return _lab_to_srgb()(image), ""
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if not profile:
        return image.convert("RGB"), ""
    try:
        convert = profile_to_srgb(profile, image.mode)
    except PROFILE_ERRORS:
        return image.convert("RGB"), BROKEN_PROFILE
    return (convert(image) if convert else image.convert("RGB")), ""


def profile_to_srgb(profile: bytes, mode: str) -> Convert | None:
    """Return the conversion of images of a mode (L, RGB, CMYK), None if it changes no color.

    Raises PyCMSError, OSError or ValueError for a profile that is broken or of other colors.
    """
    check_profile(profile)
    make = _profile_to_srgb
    return make(profile, mode) if len(profile) <= CACHED_BYTES else make.__wrapped__(profile, mode)


@lru_cache(maxsize=64)
def _profile_to_srgb(profile: bytes, mode: str) -> Convert | None:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if mode == "L" and space == "RGB":  # gray whose profile is that of its three equal channels
        convert = profile_to_srgb(profile, "RGB")
        return (lambda image: convert(image.convert("RGB"))) if convert else None
    if space != {"L": "GRAY"}.get(mode, mode):
        raise ValueError
    transform = _transform(source, mode)
    if mode == "CMYK":
        return transform
    probe = _probe(mode)
    change = np.asarray(transform(probe), np.int16) - np.asarray(probe.convert("RGB"), np.int16)
    return transform if np.abs(change).max() > SAME else None


def _transform(source: ImageCms.ImageCmsProfile, mode: str) -> Convert:
    srgb, intent = ImageCms.createProfile("sRGB"), ImageCms.Intent.PERCEPTUAL
    transform = ImageCms.buildTransform(source, srgb, mode, "RGB", intent)
    return transform.apply


def _probe(mode: str) -> Image.Image:
    """Return an image of all grays, or of 17 levels of each color in all combinations."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.round(np.linspace(0, 255, 17)).astype(np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1)
    return Image.fromarray(colors.reshape(17, -1, 3))


@cache
def _lab_to_srgb() -> Convert:
    return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")
