"""Passes that end before they are finished: what is resumed, what is copied, what remains."""

import errno
import os
import shutil
import signal
from collections.abc import Callable
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
from src.embedding.backbone import BackboneModule
from src.embedding.dataset import Batch
from src.errors import UserError
from src.gallery import Gallery
from src.pipeline.embed import embed
from tests.support.embedding import folders, forbid_embedding, list_gallery
from tests.support.options import changed

pytestmark = pytest.mark.usefixtures("small_squares")


def fail_at_row_5(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    step = BackboneModule.predict_step

    def predict_step(self: BackboneModule, batch: Batch) -> list[Tensor]:
        if 5 in batch.rows:
            raise error("row 5")
        return step(self, batch)

    monkeypatch.setattr(BackboneModule, "predict_step", predict_step)


@pytest.mark.parametrize("error", [ZeroDivisionError, UserError, KeyboardInterrupt])
def test_an_interrupted_pass_is_resumed(
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
    embeddings = embed(gallery, cfg)
    assert (embeddings.facts["resumed_rows"], embeddings.facts["embedded_rows"]) == (5, 7)
    assert folders(cfg) == ["layer1"]
    (whole,) = shared_embeddings.glob("embeddings/*/*/layer1/features.npy")
    np.testing.assert_array_equal(embeddings.features.view("i4"), np.load(whole).view("i4"))


def test_a_gallery_without_a_readable_image_leaves_no_folder(cfg: Config, gallery: Gallery) -> None:
    for file in gallery.files:
        (gallery.root / file).write_text("no image")
    with pytest.raises(UserError, match="none of the 12 images can be read"):
        embed(gallery, cfg)
    assert folders(cfg) == []


def interrupt_at_row_5(cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Interrupt a pass of batches of one image; return its unfinished folder."""
    with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
        fail_at_row_5(broken, ZeroDivisionError)
        embed(gallery, changed(cfg, "data", batch_size=1))
    (part,) = Path(cfg.outputs, "embeddings").glob("*/*/*.part")
    return part


@pytest.mark.parametrize("other", ["device", "batch size", "gallery"])
def test_rows_of_a_pass_that_cannot_be_resumed_are_copied(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    (gallery.root / gallery.files[2]).write_text("no image")
    interrupt_at_row_5(cfg, list_gallery(cfg), monkeypatch)
    expected = 8
    if other == "device":
        monkeypatch.setattr(src.runtime.devices, "processor_name", lambda *_, **__: "another")
    elif other == "batch size":
        cfg = changed(cfg, "data", batch_size=3)
    else:
        shutil.copy(gallery.root / gallery.files[11], gallery.root / "ada/1b.png")
        expected = 9
    embeddings = embed(list_gallery(cfg), cfg)
    assert (embeddings.facts["resumed_rows"], embeddings.facts["copied_rows"]) == (0, 4)
    assert embeddings.facts["embedded_rows"] == expected
    left = [name for name in folders(cfg) if name.endswith(".part")]
    assert len(left) == (other == "gallery")  # that of another gallery is not this one's
    whole = embed(list_gallery(cfg), replace(cfg, outputs=f"{cfg.outputs}-whole"))
    np.testing.assert_allclose(embeddings.features, whole.features, rtol=1e-5, atol=1e-6)


def test_an_unknown_layer_leaves_no_folder_behind(cfg: Config, gallery: Gallery) -> None:
    with pytest.raises(UserError, match="backbone.layer or layers: layr2 is not a node"):
        embed(gallery, changed(cfg, "backbone", layer="layr2", layers=["layer1"]))
    assert embed(gallery, cfg).facts["embedded_rows"] == 12
    assert folders(cfg) == ["layer1"]


def test_deleted_rows_are_computed_again(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = interrupt_at_row_5(cfg, gallery, monkeypatch)
    (part / "layer1" / "features.npy").unlink()
    embeddings = embed(gallery, cfg)
    assert (embeddings.facts["resumed_rows"], embeddings.facts["embedded_rows"]) == (0, 12)
    assert np.abs(embeddings.features).sum(axis=1).min() > 0


def test_a_folder_is_finished_only_with_all_rows(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(L.Trainer, "predict", lambda *_, **__: None)
    with pytest.raises(UserError, match="lacks rows written by other processes: run the same"):
        embed(gallery, cfg)


def test_rows_do_not_count_after_a_failed_sync(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux reports once that written data is lost; the next sync succeeds without it."""
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


def test_a_pass_over_more_layers_is_resumed(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = changed(cfg, "backbone", layers=["layer1", "layer2"])
    interrupt_at_row_5(both, gallery, monkeypatch)
    embeddings = embed(gallery, changed(cfg, "backbone", layer="layer2"))
    assert (embeddings.facts["resumed_rows"], embeddings.facts["embedded_rows"]) == (5, 7)
    assert sorted(folders(cfg)) == ["layer1", "layer2"]


def test_another_layers_unfinished_rows_stay(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = interrupt_at_row_5(cfg, gallery, monkeypatch)
    embed(gallery, changed(cfg, "backbone", layer="layer2"))
    assert sorted(folders(cfg)) == sorted(["layer2", part.name])
    assert embed(gallery, cfg).facts["resumed_rows"] == 5


def test_a_resumed_pass_knows_its_unreadable_images(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = replace(changed(cfg, "data", batch_size=1), outputs=f"{cfg.outputs}-whole")
    whole = embed(gallery, batches).features
    (gallery.root / gallery.files[2]).write_text("no image")
    gallery = list_gallery(cfg)
    interrupt_at_row_5(cfg, gallery, monkeypatch)
    embeddings = embed(gallery, cfg)
    assert (embeddings.facts["resumed_rows"], embeddings.facts["skipped"]) == (5, 1)
    np.testing.assert_array_equal(embeddings.features, np.delete(whole, 2, 0))


@pytest.mark.parametrize("times", range(4, 11))
def test_finishing_may_be_interrupted_anywhere(
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


def test_a_full_disk_is_reported_and_the_pass_resumed_later(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full, pytest.raises(UserError, match="free, but .* are needed"):
        full.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
        embed(gallery, cfg)
    assert embed(gallery, cfg).facts["embedded_rows"] == 12
