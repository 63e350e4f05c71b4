"""Images that cannot be read are skipped and listed; rows of the others stay in order."""

import csv
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.config import Config
from src.errors import UserError
from src.gallery import Gallery
from src.io.images import NO_END_MARKER
from src.pipeline.embed import embed
from tests.support.embedding import list_gallery, reference
from tests.support.options import changed

pytestmark = pytest.mark.usefixtures("small_squares")


def make_unreadable(cfg: Config, *files: str) -> Gallery:
    """Return the gallery after these files were replaced by text."""
    for file in files:
        Path(cfg.data.images, file).write_text("no image")
    return list_gallery(cfg)


def test_unreadable_images_shift_no_row(cfg: Config, caplog: pytest.LogCaptureFixture) -> None:
    gallery = make_unreadable(cfg, "ada/0.png", "bea/1.png", "cleo/3.png")
    embeddings = embed(gallery, changed(cfg, "data", batch_size=1))
    readable = [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert embeddings.gallery.files == [gallery.files[row] for row in readable]
    assert np.load(embeddings.folder / "image_names.npy").tolist() == embeddings.gallery.files
    np.testing.assert_allclose(
        embeddings.features, reference(embeddings.gallery), rtol=1e-5, atol=1e-5
    )
    assert (embeddings.facts["images"], embeddings.facts["skipped"]) == (9, 3)
    assert "3 images cannot be read and are skipped: see skipped.csv" in caplog.text


def test_unreadable_images_are_listed(cfg: Config) -> None:
    odd = os.fsdecode(b'ada/caf\xe9, "x"\n.png')
    embeddings = embed(make_unreadable(cfg, odd, "bea/1.png"), cfg)
    with (embeddings.folder / "skipped.csv").open(
        encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        lines = list(csv.reader(file))
    assert [line[0] for line in lines] == ["file", odd, "bea/1.png"]
    assert lines[0][1] == "reason"
    assert all("cannot identify image file" in reason for _, reason in lines[1:])


def test_file_names_that_are_not_utf8_are_kept(cfg: Config) -> None:
    odd = os.fsdecode(b'ada/caf\xe9, "x"\n.png')
    shutil.copy(Path(cfg.data.images, "ada/0.png"), Path(cfg.data.images, odd))
    embeddings = embed(list_gallery(cfg), cfg)
    assert odd in embeddings.gallery.files
    assert np.load(embeddings.folder / "image_names.npy").tolist() == embeddings.gallery.files


def test_a_gallery_without_a_readable_image_is_refused(cfg: Config, gallery: Gallery) -> None:
    gallery = make_unreadable(cfg, *gallery.files)
    with pytest.raises(UserError, match="none of the 12 .* the first: ada/0.png: .* identify"):
        embed(gallery, cfg)


def test_the_log_counts_reasons_and_damaged_images(cfg: Config, caplog) -> None:
    folder = Path(cfg.data.images, "ada")
    whole = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(whole, "JPEG")
    for number in range(3):
        (folder / f"whole {number}.jpg").write_bytes(whole.getvalue()[:-2])
        (folder / f"text {number}.jpg").write_text("no image")
    (folder / "cut.jpg").write_bytes(whole.getvalue()[:-20])
    gallery = list_gallery(cfg)
    embeddings = embed(gallery, cfg)
    assert (embeddings.facts["images"], embeddings.facts["skipped"]) == (15, 4)
    lines = [" ".join(line.split()) for line in caplog.messages]
    assert "4 images cannot be read and are skipped: see skipped.csv" in lines
    identified = "3 UnidentifiedImageError: cannot identify image file … (ada/text 0.jpg)"
    truncated = "1 OSError: image file is truncated (… bytes not processed) (ada/cut.jpg)"
    assert lines.index(identified) + 1 == lines.index(truncated)
    assert "3 images are damaged, but were embedded" in lines
    assert f"3 {NO_END_MARKER} (ada/whole 0.jpg)" in lines
