"""Rows of images that other galleries have already embedded are copied."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from src.config import Config
from src.config.data import Folder
from src.config.enums import Pooling
from src.embedding.cache import EmbeddingRequest, Embeddings
from src.embedding.copied_rows import copy_rows
from src.embedding.row_files import CHECKSUMS, FEATURES, OPTIONS
from src.errors import UserError
from src.pipeline.embed import embed
from tests.support.embedding import RESNET_LAYERS, forbid_embedding, layer, list_gallery
from tests.support.options import changed

pytestmark = pytest.mark.usefixtures("small_squares")


def add_images(cfg: Config) -> None:
    """Add two images and change one, in the middle of the order."""
    folder = Path(cfg.data.images)
    for old, new in (("ada/0.png", "ada/1b.png"), ("bea/2.png", "cleo/0b.png")):
        with Image.open(folder / old) as image:
            ImageOps.mirror(image).save(folder / new)
    with Image.open(folder / "bea/3.png") as image:
        ImageOps.flip(image).save(folder / "bea/3.png")


def embed_from_scratch(cfg: Config, name: str) -> Embeddings:
    """Embed the same images into an empty outputs folder."""
    other = replace(cfg, outputs=f"{cfg.outputs}-fresh")
    return embed(list_gallery(other), layer(other, name))


def test_only_added_images_are_embedded(cfg, gallery, caplog):
    caplog.set_level("INFO")
    embed(gallery, layer(cfg, "layer1"))
    add_images(cfg)
    embeddings = embed(list_gallery(cfg), layer(cfg, "layer4"))
    assert "embedding: reusing 11 rows of earlier runs" in caplog.text
    assert (embeddings.facts["copied_rows"], embeddings.facts["embedded_rows"]) == (11, 3)
    for name in RESNET_LAYERS:
        rows = embed(list_gallery(cfg), layer(cfg, name)).features
        expected = embed_from_scratch(cfg, name).features
        np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-6)


def test_rows_of_a_sample_are_reused_for_the_whole_gallery(cfg):
    embed(list_gallery(cfg, limit=5), layer(cfg, "layer1"))
    embeddings = embed(list_gallery(cfg), layer(cfg, "layer1"))
    assert (embeddings.facts["copied_rows"], embeddings.facts["embedded_rows"]) == (5, 7)
    np.testing.assert_allclose(
        embeddings.features, embed_from_scratch(cfg, "layer1").features, atol=1e-6
    )


def test_all_rows_may_be_copied(cfg, gallery, monkeypatch):
    whole = embed(gallery, layer(cfg, "layer1")).features
    forbid_embedding(monkeypatch)
    embeddings = embed(list_gallery(cfg, limit=5), layer(cfg, "layer1"))
    assert embeddings.facts["copied_rows"] == 5 and "embedded_rows" not in embeddings.facts
    rows = [gallery.files.index(file) for file in embeddings.gallery.files]
    np.testing.assert_array_equal(embeddings.features, whole[rows])


def test_a_duplicate_image_gets_the_same_row(cfg, gallery):
    embed(gallery, layer(cfg, "layer1"))
    folder = Path(cfg.data.images)
    shutil.copy(folder / "ada/0.png", folder / "ada/copy.png")
    embeddings = embed(list_gallery(cfg), layer(cfg, "layer1"))
    assert embeddings.facts["copied_rows"] == 13
    duplicate = embeddings.gallery.files.index("ada/copy.png")
    assert np.array_equal(embeddings.features[0], embeddings.features[duplicate])


@pytest.mark.parametrize(
    "other",
    [{"pooling": Pooling.max}, {"weights": "seed"}, {"layer": "layer1", "layers": []}],
)
def test_rows_of_other_options_are_not_copied(cfg, gallery, other):
    options = layer(cfg, "layer1")
    if other.pop("weights", None):
        embed(gallery, replace(options, seed=1))
    else:
        embed(gallery, changed(options, "backbone", **other))
    add_images(cfg)
    embeddings = embed(list_gallery(cfg), layer(cfg, "layer1"))
    assert (embeddings.facts["copied_rows"], embeddings.facts["embedded_rows"]) == (0, 14)


@pytest.mark.parametrize("name", [CHECKSUMS, FEATURES, OPTIONS])
def test_rows_of_a_damaged_folder_are_embedded_again(cfg, gallery, caplog, name):
    folder = embed(gallery, layer(cfg, "layer1")).folder
    for path in folder.parent.glob(f"*/{name}"):
        path.write_bytes(path.read_bytes()[:-1] + b"\0" if name == OPTIONS else b"\x93NUMPY")
    add_images(cfg)
    embeddings = embed(list_gallery(cfg), layer(cfg, "layer1"))
    assert (embeddings.facts["copied_rows"], embeddings.facts["embedded_rows"]) == (0, 14)
    assert f"no rows of another gallery are reused: {folder.parent}" in caplog.text
    assert f"{name} is damaged" in caplog.text
    expected = embed_from_scratch(cfg, "layer1").features
    np.testing.assert_allclose(embeddings.features, expected, rtol=1e-5, atol=1e-6)


def test_if_the_rows_of_this_gallery_are_damaged_the_run_ends(cfg, monkeypatch):
    embed(list_gallery(cfg, limit=5), layer(cfg, "layer1"))

    def damage(request: EmbeddingRequest, folder: Path, layers: list[str]) -> list[int]:
        (folder / layers[0] / FEATURES).write_bytes(b"\x93NUMPY")
        return copy_rows(request, folder, layers)

    monkeypatch.setattr("src.embedding.unfinished.copy_rows", damage)
    with pytest.raises(UserError, match=r"\.part.*features\.npy is damaged"):
        embed(list_gallery(cfg), layer(cfg, "layer1"))


def test_images_that_were_unreadable_are_tried_again(cfg, gallery):
    Path(cfg.data.images, "ada/0.png").write_text("no image")
    embed(list_gallery(cfg), layer(cfg, "layer1"))
    shutil.copy(Path(cfg.data.images, "ada/1.png"), Path(cfg.data.images, "ada/0.png"))
    embeddings = embed(list_gallery(cfg), layer(cfg, "layer1"))
    assert (embeddings.facts["copied_rows"], embeddings.facts["skipped"]) == (12, 0)


def test_a_cached_folder_still_reports_skipped_images(cfg, caplog):
    Path(cfg.data.images, "ada/0.png").write_text("no image")
    embed(list_gallery(cfg), layer(cfg, "layer1"))
    caplog.clear()
    assert embed(list_gallery(cfg), layer(cfg, "layer1")).facts["skipped"] == 1
    assert "1 images were skipped because they cannot be read: " in caplog.text


def test_rows_are_copied_for_the_same_images_in_another_folder(cfg, gallery):
    """Rows belong to checksums of images, not to the name of a gallery."""
    embed(gallery, layer(cfg, "layer1"))
    other = Path(cfg.outputs).parent / "moved"
    shutil.copytree(cfg.data.images, other)
    moved = replace(cfg, data=Folder(images=str(other)))
    embeddings = embed(list_gallery(moved), layer(moved, "layer1"))
    assert embeddings.facts["copied_rows"] == 12
