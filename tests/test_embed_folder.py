"""Where src/embed.py keeps its rows: what is used again, what is made anew, what is left behind."""

import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import yaml
from torch import Tensor

import src.embed
from src.backbone import Backbone
from src.checks import UserError
from src.config import Config, Pooling, Precision, Resize
from src.data import Batch
from src.embed import embed
from src.gallery import Gallery, folder_gallery

pytestmark = pytest.mark.usefixtures("small_squares")


@pytest.fixture
def gallery(cfg: Config) -> Gallery:
    return listed(cfg)


def listed(cfg: Config) -> Gallery:
    return folder_gallery(Path(cfg.data.images), None, None, 0, Path(cfg.outputs))


def changed(cfg: Config, group: str, **options: Any) -> Config:
    return replace(cfg, **{group: replace(getattr(cfg, group), **options)})


def forbid_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(L.Trainer, "predict", lambda *_, **__: pytest.fail("embedded again"))


def fail_at_row_5(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    def predict_step(self: Backbone, batch: Batch) -> Tensor:
        if 5 in batch.rows:
            raise error("row 5")
        return self(batch.images)

    monkeypatch.setattr(Backbone, "predict_step", predict_step)


def left_nothing(cfg: Config) -> bool:
    """No file of embeddings, half or whole, and no folder of half ones."""
    left = list(Path(cfg.outputs, "embeddings").rglob("*"))
    return not [path for path in left if path.is_file() or path.suffix == ".part"]


def test_a_second_call_embeds_nothing(
    cfg: Config,
    gallery: Gallery,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    first = embed(gallery, cfg)
    assert "nothing to do" not in caplog.text
    forbid_embedding(monkeypatch)
    second = embed(gallery, cfg)
    assert f"nothing to do, the rows are in {first.folder}" in caplog.text
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
        changed(cfg, "data", image_size="20"),
        changed(cfg, "data", max_pixels=40 * 32),
        changed(cfg, "trainer", precision=Precision["bf16-mixed"]),
    ]
    made = [embed(gallery, other) for other in others]
    assert not any(each.facts["reused_embeddings"] for each in made)
    assert len({each.folder for each in made}) == len({each.features.tobytes() for each in made})
    assert len({each.folder for each in made}) == len(others)


def test_another_image_makes_another_folder(cfg: Config, gallery: Gallery) -> None:
    first = embed(gallery, cfg)
    shutil.copy(Path(cfg.data.images, "ada/0.png"), Path(cfg.data.images, "ada/1.png"))
    second = embed(listed(cfg), cfg)
    assert first.folder.parent.parent == second.folder.parent.parent
    assert first.folder != second.folder
    assert (first.features != second.features).any(1).nonzero()[0].tolist() == [1]


def test_labels_and_batches_do_not_count(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = embed(gallery, cfg).folder
    forbid_embedding(monkeypatch)
    labeled = replace(gallery, works=gallery.works.assign(artist="other", style="new"))
    made = embed(labeled, changed(cfg, "data", batch_size=5))
    assert made.folder == folder
    assert set(made.gallery.works["style"]) == {"new"}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda made: {**made, "layer": "layer9"}, "made with layer=layer9, wanted is layer1: del"),
        (lambda made: {**made, "own": 1}, "made with own=1, wanted is None: delete that folder"),
        (lambda made: made | {"pooling": "max"}, "made with pooling=max, wanted is avg"),
        (lambda made: None, "made with .*=None, wanted is"),
    ],
)
def test_options_edited_by_hand_are_refused(
    cfg: Config, gallery: Gallery, edit: Any, message: str
) -> None:
    path = embed(gallery, cfg).folder / "options.yaml"
    path.write_text(yaml.safe_dump(edit(yaml.safe_load(path.read_text()))))
    with pytest.raises(UserError, match=message):
        embed(gallery, cfg)


def test_a_folder_without_options_is_refused(cfg: Config, gallery: Gallery) -> None:
    (embed(gallery, cfg).folder / "options.yaml").unlink()
    for layer in ("layer1", ""):
        with pytest.raises(UserError, match="has no options.yaml: is backbone.layer right"):
            embed(gallery, changed(cfg, "backbone", layer=layer))


def test_rows_without_names_are_refused(cfg: Config, gallery: Gallery) -> None:
    names = embed(gallery, cfg).folder / "image_names.npy"
    np.save(names, np.load(names)[1:])
    with pytest.raises(UserError, match="holds 12 rows for 11 images: delete that folder"):
        embed(gallery, cfg)


def test_a_folder_says_what_made_it(cfg: Config, gallery: Gallery) -> None:
    made = embed(gallery, cfg)
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
    new = set(tmp_path.rglob("*")) - before - set(folder.parents) - {folder}
    names = ["features.npy", "image_names.npy", "options.yaml", "skipped.csv"]
    assert sorted(new) == [folder / name for name in names]


@pytest.mark.parametrize("error", [ZeroDivisionError, UserError])
def test_an_error_in_the_middle_leaves_nothing(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    fail_at_row_5(monkeypatch, error)
    with pytest.raises(error, match="row 5"):
        embed(gallery, changed(cfg, "data", batch_size=5))
    assert left_nothing(cfg)


def test_an_interrupt_leaves_nothing(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at_row_5(monkeypatch, KeyboardInterrupt)
    monkeypatch.setattr(
        signal, "signal", lambda *_: None
    )  # else Lightning ignores Ctrl-C from then on
    with pytest.raises((SystemExit, KeyboardInterrupt)):  # Lightning makes it an exit
        embed(gallery, changed(cfg, "data", batch_size=5))
    assert left_nothing(cfg)


def test_an_unreadable_gallery_leaves_nothing(cfg: Config, gallery: Gallery) -> None:
    for file in gallery.files:
        (gallery.root / file).write_text("no image")
    with pytest.raises(UserError, match="none of the 12 images can be read"):
        embed(gallery, cfg)
    assert left_nothing(cfg)


def test_what_a_killed_process_left_is_replaced(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed, pytest.raises(ZeroDivisionError):
        killed.setattr(shutil, "rmtree", lambda *_, **__: None)
        fail_at_row_5(killed, ZeroDivisionError)
        embed(gallery, cfg)
    assert not left_nothing(cfg)
    assert len(embed(gallery, cfg).features) == 12
    assert not list(Path(cfg.outputs).rglob("*.part"))


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[Path, Path], object]) -> None:
    """act with the finished folder and its final name, before it gets that name."""
    finish = src.embed._finish

    def both(part: Path, *rest: Any) -> None:
        finish(part, *rest)
        act(part, part.with_name("layer1"))

    monkeypatch.setattr(src.embed, "_finish", both)


def test_another_process_may_be_first(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, shutil.copytree)
    assert len(embed(gallery, cfg).features) == 12
    assert not list(Path(cfg.outputs).rglob("*.part"))


def test_a_name_that_is_taken_is_an_error(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda part, folder: folder.touch())
    with pytest.raises(NotADirectoryError):
        embed(gallery, cfg)
    assert not list(Path(cfg.outputs).rglob("*.part"))
