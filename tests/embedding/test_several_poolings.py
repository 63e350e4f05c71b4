"""Several poolings, and the layers of all jobs of a sweep, from one pass over the images."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from src.config import Backbone, Config
from src.config.enums import Join, Pooling
from src.embedding.backbone import BackboneModule
from src.embedding.cache import Embeddings
from src.embedding.dataset import Batch
from src.errors import UserError
from src.gallery import Gallery
from src.pipeline.embed import embed
from tests.support.embedding import folders, forbid_embedding, layer, list_gallery
from tests.support.options import changed

pytestmark = pytest.mark.usefixtures("small_squares")
NAMES = ["avg", "max", "meanstd"]
SWEPT = {"backbone.pooling": NAMES, "backbone.layer": ["layer1", "layer2", "layer2+layer3"]}


def pooled(cfg: Config, name: str, **options: object) -> Config:
    return changed(cfg, "backbone", pooling=Pooling[name], **options)


def alone(cfg: Config, name: str, gallery: Gallery) -> Embeddings:
    """Embed by this pooling alone, elsewhere."""
    return embed(gallery, replace(pooled(cfg, name), outputs=f"{cfg.outputs}-{name}"))


def count_images(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which the rows are added that go through a network."""
    step, seen = BackboneModule.predict_step, list[int]()

    def predict_step(self: BackboneModule, batch: Batch) -> list[torch.Tensor]:
        seen.extend(batch.rows)
        return step(self, batch)

    monkeypatch.setattr(BackboneModule, "predict_step", predict_step)
    return seen


@pytest.mark.parametrize("how", ["option", "sweep"])
def test_images_pass_through_the_network_once(cfg, gallery, monkeypatch, how):
    expected = {name: alone(cfg, name, gallery).features for name in NAMES}
    seen = count_images(monkeypatch)
    if how == "option":
        cfg = changed(cfg, "backbone", poolings=NAMES)
    swept = {} if how == "option" else {"backbone.pooling": NAMES}
    found = {name: embed(gallery, pooled(cfg, name), swept=swept) for name in NAMES}
    assert seen == list(range(12))
    assert [each.facts["reused_embeddings"] for each in found.values()] == [False, True, True]
    for name in NAMES:
        np.testing.assert_array_equal(found[name].features, expected[name])
    assert len({each.folder.parent for each in found.values()}) == 3


def test_folders_are_those_of_a_pass_for_each(cfg, gallery):
    """Caches of earlier versions, which have one pooling each, stay valid."""
    both = {"backbone.pooling": NAMES}
    together = embed(gallery, pooled(cfg, "avg"), swept=both).folder.parents[1]
    for name in NAMES:
        folder = alone(cfg, name, gallery).folder
        same = together / folder.parent.name / folder.name
        assert {path.name for path in same.iterdir()} == {path.name for path in folder.iterdir()}
        assert (same / "options.yaml").read_text() == (folder / "options.yaml").read_text()


def test_what_is_cached_is_not_computed_again(cfg, gallery, monkeypatch):
    first = embed(gallery, pooled(cfg, "max")).folder / "features.npy"
    written = first.stat().st_mtime_ns, first.stat().st_ino
    seen = count_images(monkeypatch)
    embed(gallery, pooled(cfg, "avg"), swept=SWEPT)
    assert seen == list(range(12))
    assert (first.stat().st_mtime_ns, first.stat().st_ino) == written
    forbid_embedding(monkeypatch)
    for name in NAMES:
        for value in SWEPT["backbone.layer"]:
            for join in Join:
                embed(gallery, pooled(cfg, name, layer=value, join=join), swept=SWEPT)


def test_what_another_job_asks_for_in_vain_does_not_stop_this_one(cfg, gallery):
    swept = {
        "backbone.pooling": ["avg", "token", "meanstd", "median"],
        "backbone.layer": ["layer1", "layer4", "layr2", "layer1*0", "a+", "relu"],
    }
    embed(gallery, cfg, swept=swept)
    made = sorted(name for name in folders(cfg) if not name.endswith(".part"))
    assert made == sorted(["layer1", "layer4", "relu", "layer1", "relu"])
    with pytest.raises(UserError, match="pooling=token needs a layer of tokens"):
        embed(gallery, pooled(cfg, "token"), swept=swept)
    with pytest.raises(UserError, match="layr2 is not a node"):
        embed(gallery, changed(cfg, "backbone", layer="layr2"), swept=swept)
    with pytest.raises(UserError, match="meanstd needs a layer with several positions"):
        embed(gallery, pooled(cfg, "meanstd", layer="layer4"), swept=swept)


def test_layers_that_nobody_named_may_be_left_out(cfg, gallery):
    """layer4 of a ResNet is written without being asked for, and gives 1 x 1 here."""
    embed(gallery, layer(pooled(cfg, "meanstd"), "layer1"))
    assert sorted(folders(cfg)) == ["layer1", "layer2", "layer3"]
    with pytest.raises(UserError, match="meanstd needs a layer with several positions"):
        embed(gallery, layer(pooled(cfg, "meanstd"), "layer2+layer4"))
    with pytest.raises(UserError, match="pooling=token needs a layer of tokens"):
        embed(gallery, layer(cfg, "layer1", poolings=["token"], layers=["layer1", "layer2.0"]))


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(UserError, match=r"backbone.poolings: median is not one of avg, max, gem"):
        Backbone(weights="random", poolings=["avg", "median"])


def test_jobs_side_by_side_embed_once(cfg, gallery, monkeypatch):
    seen = count_images(monkeypatch)
    jobs = [pooled(cfg, name, layer=one) for name in NAMES for one in ("layer1", "layer2")]
    with ThreadPoolExecutor(len(jobs)) as pool:
        made = list(pool.map(lambda job: embed(gallery, job, swept=SWEPT), jobs))
    assert seen == list(range(12))
    assert [each.facts["reused_embeddings"] for each in made].count(False) == 1


def interrupt_at(row: int, cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt a pass over all poolings, in batches of one image."""
    step = BackboneModule.predict_step

    def predict_step(self: BackboneModule, batch: Batch) -> list[torch.Tensor]:
        if row in batch.rows:
            raise ZeroDivisionError
        return step(self, batch)

    with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
        broken.setattr(BackboneModule, "predict_step", predict_step)
        embed(gallery, changed(cfg, "data", batch_size=1), swept=SWEPT)


@pytest.mark.parametrize("first", NAMES)
def test_an_interrupted_pass_is_resumed_by_any_job(cfg, gallery, monkeypatch, first):
    """For a sweep that begins with another job, and for one pooling without a sweep."""
    expected = {name: alone(cfg, name, gallery).features for name in NAMES}
    interrupt_at(5, cfg, gallery, monkeypatch)
    assert len([name for name in folders(cfg) if name.endswith(".part")]) == 3
    seen = count_images(monkeypatch)
    facts = embed(gallery, pooled(cfg, first), swept=SWEPT).facts
    assert (facts["resumed_rows"], facts["embedded_rows"], seen) == (5, 7, list(range(5, 12)))
    assert not [name for name in folders(cfg) if name.endswith(".part")]
    for name in NAMES:
        rows = embed(gallery, pooled(cfg, name)).features
        np.testing.assert_allclose(rows, expected[name], rtol=1e-5, atol=1e-6)
    assert len(seen) == 7


def test_a_pooling_alone_resumes_its_part(cfg, gallery, monkeypatch):
    interrupt_at(5, cfg, gallery, monkeypatch)
    assert embed(gallery, pooled(cfg, "max")).facts["resumed_rows"] == 5
    seen = count_images(monkeypatch)
    facts = embed(gallery, pooled(cfg, "avg"), swept=SWEPT).facts
    assert (facts["resumed_rows"], len(seen)) == (5, 7)


def test_rows_that_one_pooling_has_are_not_written_again(cfg, gallery, monkeypatch):
    """The parts of a pass may have been interrupted at different rows."""
    interrupt_at(8, pooled(cfg, "max"), gallery, monkeypatch)
    (part,) = (p for p in parts(cfg) if "pooling: avg" in (p / "layer1/options.yaml").read_text())
    (part / "done-0.jsonl").write_text('\n{"rows": [0, 1, 2], "unreadable": []}\n')
    (other,) = (p for p in parts(cfg) if "pooling: max" in (p / "layer1/options.yaml").read_text())
    marked = np.load(other / "layer1/features.npy", mmap_mode="r+")
    marked[4] = -1
    marked.flush()
    facts = embed(gallery, pooled(cfg, "avg"), swept=SWEPT).facts
    assert (facts["resumed_rows"], facts["embedded_rows"]) == (3, 9)
    rows = embed(gallery, pooled(cfg, "max")).features
    assert (rows[4] == -1).all() and (np.delete(rows, 4, 0) >= 0).all()


def parts(cfg: Config) -> list[Path]:
    return list(Path(cfg.outputs).glob("embeddings/*/*/*.part"))


def test_rows_of_other_galleries_are_copied_for_each_pooling(cfg, gallery, monkeypatch):
    few = list_gallery(cfg, limit=5)
    embed(few, pooled(cfg, "avg"), swept=SWEPT)
    seen = count_images(monkeypatch)
    facts = embed(gallery, pooled(cfg, "max"), swept=SWEPT).facts
    assert (facts["copied_rows"], facts["embedded_rows"], len(seen)) == (5, 7, 7)
    fresh = replace(pooled(cfg, "meanstd"), outputs=f"{cfg.outputs}-fresh")
    rows = embed(gallery, pooled(cfg, "meanstd")).features
    np.testing.assert_allclose(rows, embed(gallery, fresh).features, rtol=1e-5, atol=1e-6)


def test_a_gallery_without_a_readable_image_leaves_no_folder(cfg, gallery):
    for file in gallery.files:
        (gallery.root / file).write_text("no image")
    with pytest.raises(UserError, match="none of the 12 images can be read; the first: ada/0.png"):
        embed(gallery, cfg, swept=SWEPT)
    assert folders(cfg) == []


def test_unreadable_images_are_told_once(cfg, gallery, caplog):
    (gallery.root / gallery.files[2]).write_text("no image")
    embed(list_gallery(cfg), cfg, swept=SWEPT)
    assert caplog.text.count("1 images cannot be read and are skipped") == 1
    for name in NAMES:
        assert len(embed(list_gallery(cfg), pooled(cfg, name)).features) == 11
