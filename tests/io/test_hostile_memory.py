"""Reading takes little memory, however large the file or the picture."""

import os
from pathlib import Path

import pytest

from src.io.images import MAX_METADATA_BYTES, Unreadable, load_rgb
from tests.support.hostile_runs import MARKS, read_in_new_process
from tests.support.image_files import Maker, encoded, file, noise, scaled

pytestmark = MARKS


def test_a_file_too_large_for_the_limit_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "sparse.webp"  # Pillow would read all of it into memory, twice
    path.write_bytes(encoded(noise("a"), "WEBP"))
    os.truncate(path, MAX_METADATA_BYTES + 8 * 1200)
    assert load_rgb(path, 1200).size == (40, 30)
    os.truncate(path, MAX_METADATA_BYTES + 8 * 1200 + 1)
    with pytest.raises(Unreadable, match="67118465 bytes, too many for data.max_pixels=1200"):
        load_rgb(path, 1200)


SQUARE = 2000  # pixels
COSTLIEST: dict[str, tuple[int, Maker]] = {  # bytes per pixel, of the file in memory too
    "16 bits.png": (12, scaled("PNG", 257, "u2")),
    "float.tif": (17, scaled("TIFF", 1 / 255, "f4")),
    "alpha.png": (10, file("PNG", "RGBA", compress_level=1)),
    "palette.png": (10, file("PNG", "P", transparency=3)),
    "progressive.jpg": (12, file("JPEG", progressive=True, subsampling=0)),
    "progressive cmyk.jpg": (14, file("JPEG", "CMYK", progressive=True)),
    "lossless.webp": (22, file("WEBP", "RGBA", lossless=True, method=0, quality=0)),
    "alpha.jp2": (26, file("JPEG2000", "RGBA")),
}


@pytest.mark.parametrize("name", COSTLIEST)
def test_a_picture_of_max_pixels_takes_few_bytes_a_pixel(tmp_path: Path, name: str) -> None:
    limit, make = COSTLIEST[name]
    noise("small").save(tmp_path / f"small{Path(name).suffix}")
    make(tmp_path / name, noise(name).resize((SQUARE, SQUARE)))
    small, large = read_in_new_process(sorted(tmp_path.iterdir(), key=os.path.getsize), SQUARE**2)
    assert 4 < (large - small) / SQUARE**2 < limit
