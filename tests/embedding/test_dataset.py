"""Batches of decoded images."""

from pathlib import Path

import pytest
from PIL import Image

from src.embedding.dataset import Batch, GalleryDataModule, Item, PaintingsDataset, collate
from src.gallery import Gallery
from src.gallery.folder import folder_gallery
from tests.embedding.test_transforms import SQUASH, same


@pytest.fixture
def gallery(paintings: Path, tmp_path: Path) -> Gallery:
    """12 paintings, of which rows 0 and 5 cannot be read."""
    for file in ("ada/0.png", "bea/1.png"):
        (paintings / file).write_text("no image")
    return folder_gallery(paintings, None, None, 0, tmp_path / "outputs")


def batches(gallery: Gallery, batch_size: int = 100, workers: int = 0, limit: int = 10**8) -> list:
    dataset, rows = PaintingsDataset(gallery, SQUASH, limit), list(range(len(gallery)))
    module = GalleryDataModule(dataset, rows, batch_size, workers)
    loaded = list[Batch]()
    for sent in module.predict_dataloader():
        batch = module.on_before_batch_transfer(sent, 0)
        loaded.append(batch._replace(images=batch.images.clone()))  # its memory is used again
    return loaded


# Python 3.12 warns of any fork of a process that has threads
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_batches_carry_every_row_once(gallery: Gallery, batch_size: int, workers: int) -> None:
    loaded = batches(gallery, batch_size, workers)
    assert [row for b in loaded for row in b.rows] == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert [row for b in loaded for row, _ in b.unreadable] == [0, 5]
    assert all("cannot identify" in reason for b in loaded for _, reason in b.unreadable)
    assert max(len(b.rows) + len(b.unreadable) for b in loaded) <= batch_size
    for row, image in ((row, im) for b in loaded for row, im in zip(b.rows, b.images, strict=True)):
        with Image.open(gallery.root / gallery.files[row]) as picture:
            assert same(image.numpy(), SQUASH(picture))


def test_pictures_over_max_pixels_are_unreadable(gallery: Gallery) -> None:
    (batch,) = batches(gallery, limit=40 * 31)
    assert batch.rows == [1, 4, 8, 9]  # 40 x 30 and 40 x 31
    assert dict(batch.unreadable)[2] == "1280 pixels, more than data.max_pixels=1240"


def test_a_batch_of_unreadable_pictures_alone_has_no_rows() -> None:
    batch = collate([Item(3, "why"), Item(4, "why not")])
    assert (batch.rows, batch.unreadable) == ([], [(3, "why"), (4, "why not")])
    assert batch.images.numel() == 0
