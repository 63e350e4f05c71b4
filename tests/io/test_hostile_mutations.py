"""JPEGs with changed bytes are read or skipped, and shift no row."""

import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from src.config.enums import Resize
from src.embedding.dataset import PaintingsDataset
from src.embedding.transforms import Transform
from src.gallery import Gallery
from src.io.images import NO_END_MARKER, check_complete, load_rgb, load_with_remark
from src.io.unreadable import Unreadable
from tests.bench.similarity import memory
from tests.support.embedding import MEAN, STD, reference_row
from tests.support.hostile_runs import MARKS, MAX_PIXELS, embed_files
from tests.support.image_files import encoded, noise

pytestmark = MARKS


def jpegs() -> list[bytes]:
    """Return valid JPEGs of several sizes and modes, with EXIF."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    picture = noise("jpeg")
    return [
        encoded(picture.resize(size).convert(mode), "JPEG", progressive=progressive, exif=exif)
        for size in ((16, 16), (200, 150), (33, 400))
        for mode in ("RGB", "L", "CMYK")
        for progressive in (False, True)
    ]


def mutations(count: int, seed: int) -> Iterator[bytes]:
    """Yield JPEGs with changed bytes, cut off, or spliced from two; half of them in the header."""
    draw, whole = random.Random(seed), jpegs()
    for number in range(count):
        body = bytearray(draw.choice(whole))
        start = draw.randrange(draw.choice((len(body), 200)))
        match number % 4:
            case 0:
                body[start] = draw.randrange(256)
            case 1:
                for _ in range(16):
                    body[draw.randrange(len(body))] = draw.randrange(256)
            case 2:
                del body[start:]
            case 3:
                other = draw.choice(whole)
                body[start:] = other[draw.randrange(len(other)) :]
        yield bytes(body)


def test_mutated_jpegs_are_read_or_skipped_with_a_reason(tmp_path: Path) -> None:
    gallery = Gallery("mutated", tmp_path, pd.DataFrame({"file": ["a.jpg"], "sha256": [""]}))
    square = Transform(Resize.squash, 32, 36, None, MEAN, STD)
    images = PaintingsDataset(gallery, square, max_pixels=1_000_000)
    counts, before = Counter[str](), memory("VmHWM")
    for body in mutations(2000, seed=0):
        (tmp_path / "a.jpg").write_bytes(body)
        result = images[0].content
        if isinstance(result, str):
            assert re.fullmatch(r"[^\n]{10,200}", result)
        else:
            assert (result.shape, result.dtype) == ((32, 32, 3), np.uint8)
        counts[type(result).__name__] += 1
    assert counts.total() == 2000
    assert min(counts["str"], counts["ndarray"]) > 400
    assert memory("VmHWM") - before < 0.1  # GB


@pytest.mark.parametrize("seed", [2, 3])
def test_files_and_downloads_agree_on_mutated_jpegs(tmp_path: Path, seed: int) -> None:
    assert agree_on(tmp_path / "a.jpg", mutations(400, seed)).total() == 400


def agree_on(path: Path, bodies: Iterator[bytes]) -> Counter[str]:
    """Check that each is read from a file as it is when downloaded; count the outcomes."""
    counts = Counter[str]()
    for body in bodies:
        path.write_bytes(body)
        try:
            image, remark = load_with_remark(path, 1_000_000)
            answer: object = image.size
        except Unreadable as reason:
            answer, remark = None, str(reason)
            assert re.fullmatch(r"[^\n]{5,}", remark)
        try:
            fetched: object = check_complete(body, 1_000_000)
        except Unreadable as reason:
            fetched = None
            assert re.fullmatch(r"[^\n]{5,}", str(reason))
        if remark == NO_END_MARKER:  # is asked for again
            assert fetched is None
        else:
            assert fetched == answer
        counts["read" if answer else "refused"] += 1
    return counts


FETCHED = {
    "JPEG": [{}, {"progressive": True}],
    "PNG": [{}, {"bits": 4}],
    "GIF": [{}],
    "TIFF": [{"compression": kind} for kind in (None, "tiff_lzw", "tiff_deflate", "jpeg")],
    "WEBP": [{}, {"lossless": True}],
}
OTHERS = ("BMP", "JPEG2000", "PPM", "TGA", "AVIF")


def wholes(format: str) -> list[bytes]:
    """Return small valid files of a format."""
    modes = {"GIF": ("P",), "TIFF": ("RGB", "L"), "PNG": ("RGB", "P", "RGBA")}.get(format, ("RGB",))
    return [
        encoded(noise(mode).convert(mode), format, **options)
        for mode in modes
        for options in FETCHED.get(format, [{}])
        if mode == "P" or "bits" not in options
    ]


def damaged(bodies: list[bytes], seed: int) -> Iterator[bytes]:
    """Yield files without end with bytes changed, mostly in their headers and at their ends."""
    draw = random.Random(seed)
    while True:
        body = bytearray(draw.choice(bodies))
        for _ in range(draw.choice((1, 2, 8))):
            near = draw.choice((40, 200, len(body)))
            at = draw.randrange(min(near, len(body)))
            at = at if draw.random() < 0.7 else len(body) - 1 - at  # a TIFF's tags are at its end
            value = draw.choice((0, 255, draw.randrange(256), body[at] ^ 1 << draw.randrange(8)))
            body[at] = value
        yield bytes(body[: draw.choice((len(body), len(body), draw.randrange(len(body)) + 1))])


@pytest.mark.slow
@pytest.mark.parametrize("format", [*FETCHED, *OTHERS])
def test_damaged_files_of_every_format_end_in_bounded_time_and_memory(
    tmp_path: Path, format: str
) -> None:
    end, longest, before = time.monotonic() + 25 / 10, 0.0, memory("VmHWM")
    whole = wholes(format)
    for body in damaged(whole, seed=0):
        start = time.process_time()
        if format in FETCHED:
            agree_on(tmp_path / "a.jpg", iter([body]))
        else:
            (tmp_path / "a.jpg").write_bytes(body)
            with suppress(Unreadable):
                load_rgb(tmp_path / "a.jpg", 1_000_000)
            with pytest.raises(Unreadable):
                check_complete(body, 1_000_000)
        longest = max(longest, time.process_time() - start)
        if time.monotonic() > end:
            break
    assert longest < 2
    assert memory("VmHWM") - before < 0.2  # GB


def test_mutated_jpegs_shift_no_row(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number, body in enumerate(mutations(300, seed=1)):
        (tmp_path / f"images/{number:03}.jpg").write_bytes(body)
    outcome = embed_files(tmp_path / "images", tmp_path / "outputs", {})
    assert len(outcome.embeddings.gallery) + len(outcome.skipped) == 300
    assert min(len(outcome.embeddings.gallery), len(outcome.skipped)) > 60
    for row, name in enumerate(outcome.embeddings.gallery.files):
        assert name not in outcome.skipped
        if row % 10 == 0:
            picture = load_rgb(tmp_path / "images" / name, MAX_PIXELS)
            np.testing.assert_allclose(
                outcome.embeddings.features[row], reference_row(picture, 224), rtol=1e-5, atol=1e-5
            )
