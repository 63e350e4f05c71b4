"""JPEGs with changed bytes are read or skipped, and shift no row."""

import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from src.config.enums import Resize
from src.embedding.dataset import PaintingsDataset
from src.embedding.transforms import Transform
from src.gallery import Gallery
from src.io.images import load_rgb
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
