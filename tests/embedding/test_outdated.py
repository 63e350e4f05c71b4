"""Rows of an earlier decoder stay where nothing changes; the others are computed again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from src.config import Config
from src.embedding.cache import Embeddings
from src.io.images import is_decoded_anew
from src.pipeline.embed import embed
from tests.io.test_color import LINEAR, STANDARD, WIDE
from tests.support.embedding import folders, forbid_embedding, layer, list_gallery
from tests.support.tiff_files import FLOAT, Kind, tiff

pytestmark = pytest.mark.usefixtures("small_squares")
PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.fixture
def earlier(cfg: Config) -> Embeddings:
    """Embeddings as a version without numbers of decoders left them, all rows being zeros."""
    embeddings = embed(list_gallery(cfg), layer(cfg, "layer1"))
    for path in embeddings.folder.parent.glob("*/options.yaml"):
        saved = yaml.safe_load(path.read_text())
        del saved["decoder"]
        path.write_text(yaml.safe_dump(saved, sort_keys=False))
        features = np.load(path.with_name("features.npy"))
        np.save(path.with_name("features.npy"), features * 0)
    return embeddings


def give_profile(cfg: Config, name: str, icc: bytes) -> None:
    """Embed a profile into an image, before it is listed."""
    path = Path(cfg.data.images, name)
    with Image.open(path) as image:
        image.load()
        image.save(path, icc_profile=icc)


def zeros(embeddings: Embeddings) -> list[int]:
    return [row for row, values in enumerate(embeddings.features) if not values.any()]


def test_rows_stay_in_their_folder_where_no_image_changes(cfg, earlier, monkeypatch) -> None:
    forbid_embedding(monkeypatch)
    for name in ("layer1", "layer4"):
        embeddings = embed(list_gallery(cfg), layer(cfg, name))
        assert embeddings.folder.parent == earlier.folder.parent
        assert embeddings.facts["reused_embeddings"]
        assert zeros(embeddings) == list(range(12))
    monkeypatch.setattr("src.embedding.outdated.is_decoded_anew", lambda _: pytest.fail("again"))
    embed(list_gallery(cfg), layer(cfg, "layer1"))


@pytest.mark.parametrize("joined", [False, True])
def test_only_images_that_are_decoded_differently_are_embedded(cfg, caplog, joined: bool) -> None:
    for name, icc in (("bea/2.png", LINEAR), ("ada/1.png", WIDE), ("ada/0.png", STANDARD)):
        give_profile(cfg, name, icc)
    gallery = list_gallery(cfg)
    wanted = "layer1+layer2" if joined else "layer1"
    fresh = np.array(embed(gallery, layer(cfg, wanted)).features)
    earlier.__wrapped__(cfg)
    caplog.set_level("INFO")
    embeddings = embed(gallery, layer(cfg, wanted))
    assert "2 images are decoded differently than by an earlier version" in caplog.text
    changed = [gallery.files.index("ada/1.png"), gallery.files.index("bea/2.png")]
    assert zeros(embeddings) == [row for row in range(12) if row not in changed]
    np.testing.assert_allclose(embeddings.features[changed], fresh[changed], atol=1e-5)
    assert (embeddings.facts["copied_rows"], embeddings.facts["embedded_rows"]) == (10, 2)
    assert "earlier" not in folders(cfg)
    assert not list(Path(cfg.outputs, "embeddings").glob("*/*/earlier/*"))


def test_images_that_were_skipped_are_tried_again(cfg, tmp_path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.fromarray(PICTURE).save(whole)
    path = Path(cfg.data.images, "ada", "0b.jpg")
    path.write_bytes(whole.read_bytes()[:-2])
    gallery = list_gallery(cfg)
    folder = earlier.__wrapped__(cfg).folder
    row = gallery.files.index("ada/0b.jpg")
    for layer_folder in folder.parent.glob("layer*"):  # as if it had been skipped
        for name in ("features.npy", "image_names.npy", "sha256.npy"):
            np.save(layer_folder / name, np.delete(np.load(layer_folder / name), row, 0))
        (layer_folder / "skipped.csv").write_text("file,reason\nada/0b.jpg,truncated\n")
    embeddings = embed(gallery, layer(cfg, "layer1"))
    assert embeddings.facts["skipped"] == 0
    assert (embeddings.facts["copied_rows"], embeddings.facts["embedded_rows"]) == (12, 1)
    assert zeros(embeddings) == [other for other in range(13) if other != row]


def test_rows_are_copied_from_a_gallery_that_was_not_checked(cfg, earlier, caplog) -> None:
    """A sample of the images is another gallery, whose rows come from the outdated ones."""
    give_profile(cfg, "ada/0.png", LINEAR)  # another file now, so not in the earlier rows
    embeddings = embed(list_gallery(cfg, limit=11), layer(cfg, "layer1"))
    assert embeddings.facts["copied_rows"] + embeddings.facts["embedded_rows"] == 11
    assert embeddings.facts["embedded_rows"] <= 1
    assert len(zeros(embeddings)) == embeddings.facts["copied_rows"]


def test_an_unfinished_pass_forgets_outdated_rows(cfg, monkeypatch) -> None:
    give_profile(cfg, "ada/1.png", LINEAR)
    gallery = list_gallery(cfg)
    folder = earlier.__wrapped__(cfg).folder
    part = folder.parent / "0123456789ab.part"
    part.mkdir()
    for path in folder.parent.glob("layer*"):
        shutil.move(path, part / path.name)
    rows = [row for row in range(12) if row != 7]
    (part / "done-0.jsonl").write_text(json.dumps({"rows": rows, "unreadable": [[7, "cut"]]}))
    monkeypatch.setattr(
        "src.embedding.unfinished.read_record", lambda path, record, free: record
    )  # the same settings as now
    embeddings = embed(gallery, layer(cfg, "layer1"))
    assert (embeddings.facts["resumed_rows"], embeddings.facts["embedded_rows"]) == (10, 2)
    again = {gallery.files.index("ada/1.png"), 7}
    assert zeros(embeddings) == [row for row in range(12) if row not in again]


def test_which_files_are_decoded_anew(tmp_path: Path) -> None:
    gray, srgb = PICTURE[..., :1], {"icc_profile": STANDARD}
    same = {
        "a.jpg": {}, "b.jpg": srgb, "a.png": {}, "a.webp": {}, "a.gif": {}, "a.tif": {},
        "b.tif": srgb, "a.jp2": {}, "a.tga": {}, "a.bmp": {}, "c.jpg": {"icc_profile": b"broken"},
    }  # fmt: skip
    for name, options in same.items():
        Image.fromarray(PICTURE).save(tmp_path / name, **options)
        assert not is_decoded_anew(tmp_path / name), name
    for name in ("d.jpg", "d.png", "d.tif", "d.webp"):
        Image.fromarray(PICTURE).save(tmp_path / name, icc_profile=WIDE)
        assert is_decoded_anew(tmp_path / name), name
    Image.fromarray(PICTURE).convert("CMYK").save(tmp_path / "e.jpg", icc_profile=WIDE)
    assert not is_decoded_anew(tmp_path / "e.jpg")  # of other colors, so ignored
    for number, kind in enumerate(
        (Kind(12), Kind(16, 0), Kind(32, sample_format=FLOAT), Kind(planar=True), Kind(16))
    ):
        path = tmp_path / f"{number}.tif"
        path.write_bytes(tiff(gray.astype(f"u{-(-kind.bits // 8)}".replace("3", "4")), kind))
        assert is_decoded_anew(path), kind
    (tmp_path / "text.jpg").write_text("no image")
    assert is_decoded_anew(tmp_path / "text.jpg")  # in doubt
