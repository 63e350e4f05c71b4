"""The cache of embeddings: which rows are reused, which are computed again, which files remain."""

import errno
import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import yaml
from torch import Tensor

import src.embedding.unfinished
import src.embedding.writer
import src.runtime.devices
from src.config import Config
from src.config.enums import Decode, Pooling, Precision, Resize
from src.embedding.backbone import BackboneModule
from src.embedding.dataset import Batch
from src.errors import UserError
from src.gallery import Gallery
from src.pipeline.embed import embed
from tests.support.embedding import forbid_embedding, list_gallery
from tests.support.options import changed

pytestmark = pytest.mark.usefixtures("small_squares")


@pytest.fixture
def gallery(cfg: Config) -> Gallery:
    return list_gallery(cfg)


def fail_at_row_5(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    step = BackboneModule.predict_step

    def predict_step(self: BackboneModule, batch: Batch) -> list[Tensor]:
        if 5 in batch.rows:
            raise error("row 5")
        return step(self, batch)

    monkeypatch.setattr(BackboneModule, "predict_step", predict_step)


def folders(cfg: Config) -> list[str]:
    """The folders of layers, and of unfinished ones."""
    return [path.name for path in Path(cfg.outputs, "embeddings").glob("*/*/*") if path.is_dir()]


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


def test_whatever_makes_other_rows_makes_another_folder(cfg: Config, gallery: Gallery) -> None:
    others = [
        cfg,
        replace(cfg, seed=1),
        changed(cfg, "backbone", layer="layer2"),
        changed(cfg, "backbone", pooling=Pooling.max),
        changed(cfg, "backbone", pooling=Pooling.gem),
        changed(cfg, "backbone", pooling=Pooling.gem, gem_p=4.0),
        changed(cfg, "data", resize=Resize.crop),
        changed(cfg, "data", decode=Decode.full),
        changed(cfg, "data", image_size="20"),
        changed(cfg, "data", max_pixels=40 * 32),
        changed(cfg, "trainer", precision=Precision["bf16-mixed"]),
    ]
    made = [embed(gallery, other) for other in others]
    assert not any(each.facts["reused_embeddings"] for each in made)
    assert len({each.folder for each in made}) == len(others)
    # decode=full makes others of large JPEGs alone
    assert len({each.features.tobytes() for each in made}) == len(others) - 1


def test_another_image_makes_another_folder(cfg: Config, gallery: Gallery) -> None:
    first = embed(gallery, cfg)
    shutil.copy(Path(cfg.data.images, "ada/0.png"), Path(cfg.data.images, "ada/1.png"))
    second = embed(list_gallery(cfg), cfg)
    assert first.folder.parent.parent == second.folder.parent.parent
    assert first.folder != second.folder
    assert (first.features != second.features).any(1).nonzero()[0].tolist() == [1]


def test_labels_and_batches_do_not_count(embedded: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_embedding(monkeypatch)
    gallery = list_gallery(embedded)
    folder = embed(gallery, embedded).folder
    labeled = replace(gallery, works=gallery.works.assign(artist="other", style="new"))
    made = embed(labeled, changed(embedded, "data", batch_size=5))
    assert made.folder == folder
    assert set(made.gallery.works["style"]) == {"new"}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda made: {**made, "layer": "layer9"},
            "made with layer=layer9, but this run has layer=layer1: del",
        ),
        (
            lambda made: {**made, "own": 1},
            "made with own=1, but this run has own=None: delete that folder",
        ),
        (
            lambda made: made | {"pooling": "max"},
            "made with pooling=max, but this run has pooling=avg",
        ),
        (lambda made: None, "made with .*=None, but this run has"),
    ],
)
def test_options_edited_by_hand_are_refused(embedded: Config, edit: Any, message: str) -> None:
    path = embed(list_gallery(embedded), embedded).folder / "options.yaml"
    path.write_text(yaml.safe_dump(edit(yaml.safe_load(path.read_text()))))
    with pytest.raises(UserError, match=message):
        embed(list_gallery(embedded), embedded)


def test_a_folder_without_options_is_refused(embedded: Config) -> None:
    (embed(list_gallery(embedded), embedded).folder / "options.yaml").unlink()
    with pytest.raises(
        UserError, match="has no options.yaml: check backbone.layer=layer1, or delete that folder"
    ):
        embed(list_gallery(embedded), embedded)


def test_rows_without_names_are_refused(embedded: Config) -> None:
    names = embed(list_gallery(embedded), embedded).folder / "image_names.npy"
    np.save(names, np.load(names)[1:])
    with pytest.raises(UserError, match="holds 12 rows for 11 images: delete that folder"):
        embed(list_gallery(embedded), embedded)


def test_a_folder_says_what_made_it(embedded: Config) -> None:
    made = embed(list_gallery(embedded), embedded)
    options = yaml.safe_load((made.folder / "options.yaml").read_text())
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


@pytest.mark.parametrize("error", [ZeroDivisionError, UserError, KeyboardInterrupt])
def test_what_was_stopped_in_the_middle_goes_on(
    cfg: Config,
    gallery: Gallery,
    shared_embeddings: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    with monkeypatch.context() as broken, pytest.raises((error, SystemExit)):
        broken.setattr(signal, "signal", lambda *_: None)  # else Ctrl-C is ignored from then on
        fail_at_row_5(broken, error)
        embed(gallery, changed(cfg, "data", batch_size=5))
    (left,) = folders(cfg)
    assert left.endswith(".part")
    made = embed(gallery, cfg)
    assert (made.facts["resumed_rows"], made.facts["embedded_rows"]) == (5, 7)
    assert folders(cfg) == ["layer1"]
    (whole,) = shared_embeddings.glob("embeddings/*/*/layer1/features.npy")
    np.testing.assert_array_equal(made.features.view("i4"), np.load(whole).view("i4"))


def test_an_unreadable_gallery_leaves_nothing(cfg: Config, gallery: Gallery) -> None:
    for file in gallery.files:
        (gallery.root / file).write_text("no image")
    with pytest.raises(UserError, match="none of the 12 images can be read"):
        embed(gallery, cfg)
    assert folders(cfg) == []


def stopped_at_row_5(cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The unfinished folder of a pass of batches of one."""
    with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
        fail_at_row_5(broken, ZeroDivisionError)
        embed(gallery, changed(cfg, "data", batch_size=1))
    (part,) = Path(cfg.outputs, "embeddings").glob("*/*/*.part")
    return part


@pytest.mark.parametrize("other", ["device", "batch size", "gallery"])
def test_rows_of_a_stopped_pass_that_cannot_go_on_are_copied(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    (gallery.root / gallery.files[2]).write_text("no image")
    stopped_at_row_5(cfg, list_gallery(cfg), monkeypatch)
    expected = 8
    if other == "device":
        monkeypatch.setattr(src.runtime.devices, "processor_name", lambda *_, **__: "another")
    elif other == "batch size":
        cfg = changed(cfg, "data", batch_size=3)
    else:
        shutil.copy(gallery.root / gallery.files[11], gallery.root / "ada/1b.png")
        expected = 9
    made = embed(list_gallery(cfg), cfg)
    assert (made.facts["resumed_rows"], made.facts["copied_rows"]) == (0, 4)
    assert made.facts["embedded_rows"] == expected
    left = [name for name in folders(cfg) if name.endswith(".part")]
    assert len(left) == (other == "gallery")  # that of another gallery is not this one's
    whole = embed(list_gallery(cfg), replace(cfg, outputs=f"{cfg.outputs}-whole"))
    np.testing.assert_allclose(made.features, whole.features, rtol=1e-5, atol=1e-6)


def test_a_layer_that_is_not_there_leaves_nothing_in_the_way(cfg: Config, gallery: Gallery) -> None:
    with pytest.raises(UserError, match="backbone.layer or layers: layr2 is not a node"):
        embed(gallery, changed(cfg, "backbone", layer="layr2", layers=["layer1"]))
    assert embed(gallery, cfg).facts["embedded_rows"] == 12
    assert folders(cfg) == ["layer1"]


def test_rows_that_were_deleted_are_made_again(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = stopped_at_row_5(cfg, gallery, monkeypatch)
    (part / "layer1" / "features.npy").unlink()
    made = embed(gallery, cfg)
    assert (made.facts["resumed_rows"], made.facts["embedded_rows"]) == (0, 12)
    assert np.abs(made.features).sum(axis=1).min() > 0


def test_rows_are_never_published_unless_all_are_there(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(L.Trainer, "predict", lambda *_, **__: None)
    with pytest.raises(
        UserError, match="lacks rows that other processes have written: run the same"
    ):
        embed(gallery, cfg)


def test_a_sync_that_failed_is_not_believed_later(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux tells once that what was written is lost."""
    sync, failed = os.fdatasync, []

    def fails_once(file: int) -> None:
        if not failed:
            failed.append(file)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(file)

    with monkeypatch.context() as full, pytest.raises(OSError, match="No space left"):
        full.setattr(os, "fdatasync", fails_once)
        full.setattr(src.embedding.writer, "FLUSH_SECONDS", 0.0)
        embed(gallery, changed(cfg, "data", batch_size=5))
    assert embed(gallery, cfg).facts["resumed_rows"] == 0


def test_a_pass_over_more_layers_is_gone_on_with(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = changed(cfg, "backbone", layers=["layer1", "layer2"])
    stopped_at_row_5(both, gallery, monkeypatch)
    made = embed(gallery, changed(cfg, "backbone", layer="layer2"))
    assert (made.facts["resumed_rows"], made.facts["embedded_rows"]) == (5, 7)
    assert sorted(folders(cfg)) == ["layer1", "layer2"]


def test_another_layers_unfinished_rows_stay(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = stopped_at_row_5(cfg, gallery, monkeypatch)
    embed(gallery, changed(cfg, "backbone", layer="layer2"))
    assert sorted(folders(cfg)) == sorted(["layer2", part.name])
    assert embed(gallery, cfg).facts["resumed_rows"] == 5


def test_unreadable_images_of_a_stopped_pass_are_known(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = replace(changed(cfg, "data", batch_size=1), outputs=f"{cfg.outputs}-whole")
    whole = embed(gallery, batches).features
    (gallery.root / gallery.files[2]).write_text("no image")
    gallery = list_gallery(cfg)
    stopped_at_row_5(cfg, gallery, monkeypatch)
    made = embed(gallery, cfg)
    assert (made.facts["resumed_rows"], made.facts["skipped"]) == (5, 1)
    np.testing.assert_array_equal(made.features, np.delete(whole, 2, 0))


@pytest.mark.parametrize("times", range(5, 12))
def test_finishing_may_be_stopped_anywhere(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    (gallery.root / gallery.files[2]).write_text("no image")
    gallery, both = list_gallery(cfg), changed(cfg, "backbone", layers=["layer1", "layer2"])
    left = [times]

    def then_stop(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                raise ZeroDivisionError
            return act(*arguments, **options)

        return acted

    with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
        broken.setattr(
            src.embedding.unfinished, "select_rows", then_stop(src.embedding.unfinished.select_rows)
        )
        broken.setattr(yaml, "safe_dump", then_stop(yaml.safe_dump))
        broken.setattr(Path, "rename", then_stop(Path.rename))
        broken.setattr(shutil, "rmtree", then_stop(shutil.rmtree))
        embed(gallery, both)
    forbid_embedding(monkeypatch)
    for layer in ("layer1", "layer2"):
        assert len(embed(gallery, changed(both, "backbone", layer=layer)).features) == 11
    assert {"layer1", "layer2"} <= set(folders(cfg))
    assert not list(Path(cfg.outputs).glob("embeddings/*/*/*.part/*/features.npy"))


def test_a_full_disk_is_said_and_gone_on_from(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full, pytest.raises(UserError, match="free, but .* are needed"):
        full.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
        embed(gallery, cfg)
    assert embed(gallery, cfg).facts["embedded_rows"] == 12


def test_jobs_side_by_side_embed_once(cfg: Config, gallery: Gallery) -> None:
    with ThreadPoolExecutor(3) as pool:
        layers = ["layer1", "layer2", "layer1+layer2"]
        asked = [changed(cfg, "backbone", layer=a, layers=["layer1", "layer2"]) for a in layers]
        made = list(pool.map(lambda each: embed(gallery, each), asked))
    assert sorted(each.facts["reused_embeddings"] for each in made).count(False) == 1
    assert sorted(folders(cfg)) == ["layer1", "layer1+layer2", "layer2"]
