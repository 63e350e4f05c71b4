"""The cache of embeddings: which rows are reused, which are computed again, which files remain."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from src.config import Config
from src.config.enums import Decode, Pooling, Precision, Resize
from src.embedding.row_files import FEATURES, NAMES, OPTIONS
from src.errors import UserError
from src.gallery import Gallery
from src.pipeline.embed import embed
from tests.support.embedding import folders, forbid_embedding, list_gallery
from tests.support.options import changed

pytestmark = pytest.mark.usefixtures("small_squares")


def test_a_second_call_embeds_nothing(
    cfg: Config,
    gallery: Gallery,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    first = embed(gallery, cfg)
    assert "using cached features" not in caplog.text
    forbid_embedding(monkeypatch)
    second = embed(gallery, cfg)
    assert f"using cached features in {first.folder}" in caplog.text
    assert np.array_equal(first.features, second.features)
    assert second.facts["reused_embeddings"] > first.facts["reused_embeddings"]


def test_options_that_change_rows_have_folders_of_their_own(cfg: Config, gallery: Gallery) -> None:
    variants = [
        cfg,
        replace(cfg, seed=1),
        changed(cfg, "backbone", layer="layer2"),
        changed(cfg, "backbone", pooling=Pooling.max),
        changed(cfg, "backbone", pooling=Pooling.meanstd),
        changed(cfg, "backbone", pooling=Pooling.gem),
        changed(cfg, "backbone", pooling=Pooling.gem, gem_p=4.0),
        changed(cfg, "data", resize=Resize.crop),
        changed(cfg, "data", decode=Decode.full),
        changed(cfg, "data", image_size="20"),
        changed(cfg, "data", max_pixels=40 * 32),
        changed(cfg, "trainer", precision=Precision["bf16-mixed"]),
    ]
    embeddings = [embed(gallery, variant) for variant in variants]
    assert not any(each.facts["reused_embeddings"] for each in embeddings)
    assert len({each.folder for each in embeddings}) == len(variants)
    # decode=full makes others of large JPEGs alone
    assert len({each.features.tobytes() for each in embeddings}) == len(variants) - 1


def test_a_changed_image_changes_the_folder(cfg: Config, gallery: Gallery) -> None:
    first = embed(gallery, cfg)
    shutil.copy(Path(cfg.data.images, "ada/0.png"), Path(cfg.data.images, "ada/1.png"))
    second = embed(list_gallery(cfg), cfg)
    assert first.folder.parent.parent == second.folder.parent.parent
    assert first.folder != second.folder
    assert (first.features != second.features).any(1).nonzero()[0].tolist() == [1]


def test_labels_and_batch_size_do_not_change_the_folder(
    embedded: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_embedding(monkeypatch)
    gallery = list_gallery(embedded)
    folder = embed(gallery, embedded).folder
    labeled = replace(gallery, works=gallery.works.assign(artist="other", style="new"))
    embeddings = embed(labeled, changed(embedded, "data", batch_size=5))
    assert embeddings.folder == folder
    assert set(embeddings.gallery.works["style"]) == {"new"}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda options: {**options, "layer": "layer9"},
            "made with layer=layer9, but this run has layer=layer1: del",
        ),
        (
            lambda options: {**options, "own": 1},
            "made with own=1, but this run has own=None: delete that folder",
        ),
        (
            lambda options: options | {"pooling": "max"},
            "made with pooling=max, but this run has pooling=avg",
        ),
        (lambda options: None, "made with .*=None, but this run has"),
    ],
)
def test_options_edited_by_hand_are_refused(embedded: Config, edit: Any, message: str) -> None:
    path = embed(list_gallery(embedded), embedded).folder / "options.yaml"
    path.write_text(yaml.safe_dump(edit(yaml.safe_load(path.read_text()))))
    with pytest.raises(UserError, match=message):
        embed(list_gallery(embedded), embedded)


@pytest.mark.parametrize("name", [OPTIONS, FEATURES, NAMES])
def test_a_folder_without_a_file_is_refused(embedded: Config, name: str) -> None:
    (embed(list_gallery(embedded), embedded).folder / name).unlink()
    with pytest.raises(
        UserError, match=f"has no {name}: check backbone.layer=layer1, or delete that folder"
    ):
        embed(list_gallery(embedded), embedded)


@pytest.mark.parametrize("name", [OPTIONS, FEATURES, NAMES])
def test_a_damaged_file_is_named(embedded: Config, name: str) -> None:
    path = embed(list_gallery(embedded), embedded).folder / name
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(UserError, match=f"layer1/{name} is damaged, so delete it"):
        embed(list_gallery(embedded), embedded)


def test_rows_without_names_are_refused(embedded: Config) -> None:
    names = embed(list_gallery(embedded), embedded).folder / "image_names.npy"
    np.save(names, np.load(names)[1:])
    with pytest.raises(UserError, match="holds 12 rows for 11 images: delete that folder"):
        embed(list_gallery(embedded), embedded)


def test_a_folder_records_its_options(embedded: Config) -> None:
    embeddings = embed(list_gallery(embedded), embedded)
    options = yaml.safe_load((embeddings.folder / "options.yaml").read_text())
    images = options.pop("images")
    assert len(images) == 64
    assert options.pop("transform").startswith(
        "Transform(resize=<Resize.squash: 'squash'>, size=32"
    )
    assert options == {
        "backbone": "resnet18",
        "weights": "random (seed 0)",
        "max_pixels": 100_000_000,
        "pooling": "avg",
        "precision": "32-true",
        "layer": "layer1",
        "decoder": 2,
    }


def test_no_other_file_is_written(
    cfg: Config, gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = set(tmp_path.rglob("*"))
    folder = embed(gallery, cfg).folder
    new = (
        set(tmp_path.rglob("*")) - before - set(folder.parents) - {folder, folder.parent / ".lock"}
    )
    names = ["features.npy", "image_names.npy", "options.yaml", "sha256.npy", "skipped.csv"]
    presets = Path(cfg.outputs, "embeddings", "presets")
    new -= {presets, presets / ".lock", *presets.glob("torchvision-*-resnet18-first.json")}
    assert sorted(new) == [folder / name for name in names]


def test_concurrent_jobs_embed_once(cfg: Config, gallery: Gallery) -> None:
    with ThreadPoolExecutor(3) as pool:
        layers = ["layer1", "layer2", "layer1+layer2"]
        asked = [changed(cfg, "backbone", layer=a, layers=["layer1", "layer2"]) for a in layers]
        embeddings = list(pool.map(lambda each: embed(gallery, each), asked))
    assert sorted(each.facts["reused_embeddings"] for each in embeddings).count(False) == 1
    assert sorted(folders(cfg)) == ["layer1", "layer1+layer2", "layer2"]
