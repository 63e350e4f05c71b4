"""A run over a folder with everything that users' folders hold accounts for every file."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.io.test_color import LINEAR
from tests.support.commands import CommandResult, command
from tests.support.tiff_files import FLOAT, SIGNED, Kind, tiff

pytestmark = pytest.mark.slow

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
GRAY = PICTURE[..., :1]
READABLE = {
    "monet/plain.jpg", "monet/linear.png", "monet/twelve bits.tif", "monet/float.tif",
    "monet/planes.tif", "renoir/cut.jpg", "renoir/broken profile.jpg", "renoir/no suffix",
    "renoir/büste.png", "renoir/many.gif",
}  # fmt: skip
UNREADABLE = {"monet/text.jpg", "monet/half.jpg", "renoir/signed.tif", "renoir/empty.png"}
OTHERS = {"notes.txt", "monet/raw.cr2", "renoir/raw.cr2"}
LEFT_OUT = {"monet/@eaDir/plain.jpg", ".Trash-0/a.png", "._plain.jpg", "renoir/Thumbs.db"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed") / "images"
    for name in READABLE | UNREADABLE | OTHERS | LEFT_OUT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("no image")
    image = Image.fromarray(PICTURE)
    monet, renoir = folder / "monet", folder / "renoir"
    image.save(monet / "plain.jpg")
    image.save(monet / "linear.png", icc_profile=LINEAR)
    deep = tiff(PICTURE.astype("u2") * 16, Kind(12, 2))
    (monet / "twelve bits.tif").write_bytes(deep)
    (monet / "float.tif").write_bytes(tiff(GRAY.astype("f4"), Kind(32, sample_format=FLOAT)))
    (monet / "planes.tif").write_bytes(tiff(PICTURE, Kind(photometric=2, planar=True)))
    body = (monet / "plain.jpg").read_bytes()
    (renoir / "cut.jpg").write_bytes(body[:-2])
    (monet / "half.jpg").write_bytes(body[: len(body) // 2])
    image.save(renoir / "broken profile.jpg", icc_profile=b"no profile")
    image.save(renoir / "no suffix", "PNG")
    image.rotate(90).save(renoir / "büste.png")
    image.save(renoir / "many.gif")
    signed = tiff(GRAY.astype("i2"), Kind(16, sample_format=SIGNED))
    (renoir / "signed.tif").write_bytes(signed)
    (renoir / "empty.png").write_bytes(b"")
    image.save(monet / "@eaDir" / "plain.jpg")
    (monet / "loop").symlink_to(folder, target_is_directory=True)
    return folder


def run(folder: Path) -> CommandResult:
    result = command(
        "src.run", "data=folder", f"data.images={folder}", f"outputs={folder}/outputs",
        "backbone.name=squeezenet1_1", "backbone.weights=random", "backbone.layer=features.3",
        "similarity.top_k=2", "tracking=off", "trainer.accelerator=cpu", "data.workers=0",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result


def test_every_file_is_embedded_or_counted_with_its_reason(folder: Path) -> None:
    text = run(folder).stderr
    (names,) = (folder / "outputs" / "embeddings").glob("*/*/*/image_names.npy")
    assert set(np.load(names)) == READABLE
    with names.with_name("skipped.csv").open() as file:
        assert {row["file"] for row in csv.DictReader(file)} == UNREADABLE
    lines = {re.sub(r"^\[.*?\]\S* - |\s+", " ", line).strip() for line in text.splitlines()}
    expected = [
        r"4 images cannot be read and are skipped: see skipped.csv",
        r"2 UnidentifiedImageError: cannot identify image file … \(monet/text.jpg\)",
        r"1 OSError: Truncated File Read \(monet/half.jpg\)",
        r"1 TIFF of a kind that cannot be read: sample format … \(renoir/signed.tif\)",
        r"2 images are damaged, but were embedded",
        r"1 the JPEG lacks its end marker, but no pixel \(renoir/cut.jpg\)",
        r"1 its color profile is broken .*\(renoir/broken profile.jpg\)",
        r"3 other files: .cr2 2, .txt 1",
        r"left out: hidden 2, @eaDir 1, Thumbs.db 1, folders of outputs 1",
        r"links to folders that are listed already: 1: monet/loop",
    ]
    for pattern in expected:
        assert any(re.fullmatch(f".*{pattern}", line) for line in lines), (pattern, text)


def test_a_second_run_finds_the_same_files(folder: Path) -> None:
    """The pictures that the first run wrote below the images are not among them."""
    text = run(folder).stderr
    assert "using cached features" in text
    assert len(list((folder / "outputs" / "galleries").iterdir())) == 1
