"""similarity.whiten_from: what another run has fitted is checked, applied and recorded."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.browser.opened import open_runs
from src.browser.run_search import others, run_search
from src.config import Config, Similarity
from src.config.enums import Join, Pooling, Postprocess, Storage
from src.embedding.cache import Embeddings
from src.errors import UserError
from src.gallery.folder import folder_gallery
from src.pipeline.embed import embed
from src.pipeline.prepare import postprocess
from src.pipeline.rank import rank
from src.pipeline.whiten_from import check_whiten_from
from src.reporting.run_folder import RunFolder
from src.run import run
from src.similarity.postprocess import fit_center, fit_whiten
from tests.support.brute_force import assert_same, brute_force
from tests.support.options import changed, store

WHITEN = {"postprocess": Postprocess.whiten}


@pytest.fixture
def source(embedded: Config, tmp_path: Path) -> Path:
    """Return the folder of a run that whitens."""
    cfg = changed(embedded, "similarity", **WHITEN)
    store(cfg, tmp_path / "source")
    run(cfg, tmp_path / "source")
    return tmp_path / "source"


@pytest.fixture
def few(embedded: Config) -> Embeddings:
    """Return the embeddings of some of the images, as another collection."""
    images, outputs = Path(embedded.data.images), Path(embedded.outputs)
    return embed(folder_gallery(images, None, 8, 0, outputs), embedded)


def using(cfg: Config, source: Path, **options: Any) -> Config:
    return changed(cfg, "similarity", **(WHITEN | {"whiten_from": str(source)} | options))


def fitted_on_all(source: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(RunFolder(source).features()))


@pytest.mark.parametrize("name", ["", "postprocess.npz"])
def test_features_are_changed_as_those_of_the_other_run(embedded, source, few, tmp_path, name):
    found = rank(few, using(embedded, source / name), tmp_path / "run")
    fitted, features = fit_whiten(fitted_on_all(source)), torch.from_numpy(few.features)
    assert torch.equal(found.features, fitted(features))
    assert found.features.shape != fit_whiten(features)(features).shape  # fewer rows, fewer axes
    assert_same(found.saved, brute_force(found.features, 3))


def test_layers_that_are_whitened_have_axes_of_their_own(embedded, source):
    cfg = changed(using(embedded, source), "backbone", join=Join.whitened)
    with pytest.raises(UserError, match="similarity.whiten_from needs backbone.join=rows: layers"):
        check_whiten_from(cfg)


def test_center_takes_the_mean_alone(embedded, source, few, tmp_path):
    cfg = using(embedded, source, postprocess=Postprocess.center)
    fitted = fit_center(fitted_on_all(source))
    features = torch.from_numpy(few.features)
    assert torch.equal(postprocess(few, cfg.similarity, tmp_path), fitted(features))


def test_whiten_dim_takes_the_first_axes(embedded, source, few, tmp_path):
    cfg = using(embedded, source, whiten_dim=3)
    fitted = fit_whiten(fitted_on_all(source), dim=3)
    features = torch.from_numpy(few.features)
    found = postprocess(few, cfg.similarity, tmp_path)
    np.testing.assert_allclose(found, fitted(features), atol=1e-6)
    assert RunFolder(tmp_path).postprocess()[1].shape[1] == 3


def test_the_run_keeps_what_it_used_for_queries(embedded, source, tmp_path):
    cfg = using(changed(embedded, "data", limit=8), source)
    store(cfg, tmp_path / "run")
    run(cfg, tmp_path / "run")
    shutil.rmtree(source)
    (opened,) = open_runs([tmp_path / "run"])
    allowed = np.stack([others(opened, row) for row in range(8)])
    index, score = run_search(opened).nearest_to_rows(range(8), 3, allowed)
    np.testing.assert_array_equal(index, opened.index)
    np.testing.assert_array_equal(score, opened.score)


def test_what_was_used_is_recorded_and_a_changed_file_is_noticed(embedded, source, few, tmp_path):
    cfg = using(embedded, source, storage=Storage.full)
    first = rank(few, cfg, tmp_path / "first")
    assert first.facts == {"comparison_device": "cpu", "whiten_from": first.whiten_from}
    assert first.matrix.name == f"similarity_scores-whiten-from-{first.whiten_from}-all.npy"
    assert rank(few, cfg, tmp_path / "again").matrix == first.matrix
    cut = rank(few, using(embedded, source, storage=Storage.full, whiten_dim=3), tmp_path / "cut")
    assert cut.matrix.name == f"similarity_scores-whiten-from-{first.whiten_from}-3.npy"
    arrays = dict(np.load(source / "postprocess.npz"))
    np.savez(source / "postprocess.npz", **arrays | {"mean": arrays["mean"] / 2})
    second = rank(few, cfg, tmp_path / "second")
    assert second.matrix != first.matrix
    own = changed(embedded, "similarity", **WHITEN, storage=Storage.full)
    plain = rank(few, own, tmp_path / "plain")
    assert plain.matrix.name == "similarity_scores-whiten-0.5-all.npy"
    assert plain.facts == {"comparison_device": "cpu"}


def test_metrics_tell_what_was_used(embedded, source, tmp_path):
    cfg = using(embedded, source)
    (tmp_path / "run").mkdir()
    run(cfg, tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(metrics["whiten_from"]) == 16
    assert "whiten_from" not in json.loads((source / "metrics.json").read_text())


@pytest.mark.parametrize(
    "change, message",
    [
        ({"layer": "layer2"}, "layer layer1 instead of layer2"),
        ({"pooling": Pooling.max}, "pooling avg instead of max"),
        ({"name": "resnet34"}, "backbone resnet18 instead of resnet34"),
    ],
    ids=str,
)
def test_features_of_another_network_are_refused_before_images_are_embedded(
    embedded, source, tmp_path, change, message
):
    cfg = replace(using(embedded, source), outputs=str(tmp_path / "new"))
    with pytest.raises(UserError, match=f"whiten_from=.*fitted on other features: {message}: give"):
        run(changed(cfg, "backbone", **change), tmp_path / "run")
    assert not list((tmp_path / "new").glob("embeddings/*/*/*"))


def test_random_weights_of_another_seed_are_refused(embedded, source):
    with pytest.raises(UserError, match=r"random \(seed 0\) instead of random \(seed 1\)"):
        check_whiten_from(replace(using(embedded, source), seed=1))


def test_another_size_of_images_is_told(embedded, source, caplog):
    check_whiten_from(using(embedded, source))
    assert not caplog.text
    check_whiten_from(using(changed(embedded, "data", image_size=64), source))
    assert "fitted on features of images of another size, shape or precision" in caplog.text


def test_a_file_without_its_run_is_used_with_a_warning(embedded, source, few, tmp_path, caplog):
    (tmp_path / "elsewhere").mkdir()
    path = shutil.copy(source / "postprocess.npz", tmp_path / "elsewhere" / "fitted.npz")
    with caplog.at_level(logging.WARNING):
        check_whiten_from(using(embedded, path))
    assert "only the features' width tells" in caplog.text
    alone = rank(few, using(embedded, path), tmp_path / "alone")
    assert torch.equal(alone.features, rank(few, using(embedded, source), tmp_path / "b").features)


@pytest.mark.parametrize(
    "arrays, options, message",
    [
        ({"mean": np.zeros(9), "axes": np.eye(9)}, {}, "of 9 numbers, but these have 64"),
        ({"mean": np.zeros(64)}, {}, "only centers: use similarity.postprocess=center"),
        ({"axes": np.eye(64)}, {}, "is no postprocess.npz that a run has written"),
        (
            {"mean": np.zeros(64), "axes": np.eye(9)},
            {},
            "is no postprocess.npz that a run has written",
        ),
        ({"mean": np.full(64, np.nan)}, {}, "is no postprocess.npz that a run has written"),
        (
            {"mean": np.zeros(64), "axes": np.eye(64)},
            {"whiten_dim": 65},
            "at most 64 .* got 65",
        ),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_a_file_that_does_not_fit_is_refused(embedded, few, tmp_path, arrays, options, message):
    np.savez(tmp_path / "fitted.npz", **arrays)
    with pytest.raises(UserError, match=message):
        rank(few, using(embedded, tmp_path / "fitted.npz", **options), tmp_path / "run")


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "there is no file .*nowhere: give the folder of a run"),
        ({"postprocess": Postprocess.none}, "needs similarity.postprocess=center or whiten"),
        ({"whiten_power": 1.0}, "whiten_power=1 has no effect with similarity.whiten_from="),
    ],
)
def test_options_that_cannot_go_together_are_refused_at_once(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        Similarity(**WHITEN | {"whiten_from": str(tmp_path / "nowhere")} | options)


def test_a_folder_without_the_file_is_refused_at_once(tmp_path):
    with pytest.raises(UserError, match="there is no file .*/postprocess.npz"):
        Similarity(**WHITEN, whiten_from=str(tmp_path))
