"""Which metrics of whole rankings a run has."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import Timeout

from src.config import Config
from src.config.enums import AllPairs, Resample
from src.evaluation.all_pairs import Task, all_pairs
from src.evaluation.relevance import Relevance
from src.gallery import Gallery
from src.io.files import file_lock
from src.pipeline import evaluate as stage
from src.pipeline.evaluate import evaluate
from src.pipeline.rank import Ranking
from src.similarity import Neighbors, top_k, write_matrix
from src.similarity.all_scores import AllScores, StoredScores
from tests.support.options import changed

N = 40
DRAW = np.random.default_rng(0)
FEATURES = torch.tensor(DRAW.random((N, 5), dtype="f4"))
STYLE, ARTIST = DRAW.integers(4, size=N), np.arange(N) // 5
DEEP = top_k(FEATURES, 12)
RANKING = Ranking(FEATURES, Neighbors(DEEP.index[:, :10], DEEP.score[:, :10], 0), DEEP, None, "cpu")
WHOLE = {f"{name}{end}" for name in ("map", "r_precision", "label_auc") for end in ("", "_macro")}


def evaluated(cfg: Config, folder: Path, choice: AllPairs, ranking: Ranking = RANKING) -> dict:
    """Return the metrics of images with a style and an artist."""
    works = {"image_id": range(N), "file": [f"{row}.jpg" for row in range(N)]}
    works |= {"style": STYLE, "artist": ARTIST}
    gallery = Gallery("g", Path(), pd.DataFrame(works).astype(str))
    cfg = changed(cfg, "evaluation", resamples=50, pairs=500, all_pairs=choice)
    return evaluate(ranking, gallery, cfg, folder)


def whole_names(metrics: dict, label: str) -> set[str]:
    """Return the names of metrics of whole rankings of a label, without chance and intervals."""
    return {name.partition("/")[2] for name in metrics if name.startswith(f"{label}/")} & WHOLE


def test_rankings_of_all_images_are_measured_with_and_without_filters(cfg, tmp_path):
    metrics = evaluated(cfg, tmp_path, AllPairs.auto)
    for label in ("style", "style-no_same_artist", "artist"):
        assert whole_names(metrics, label) == WHOLE
        assert f"{label}/label_auc_sampled" not in metrics
        assert metrics[f"{label}/map_low"] < metrics[f"{label}/map"] < metrics[f"{label}/map_high"]
    groups = [np.arange(N), ARTIST]
    expected, queries = all_pairs(
        FEATURES, [Task("style-no_same_artist", Relevance(STYLE, groups))]
    )
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    with np.load(tmp_path / "queries.npz") as stored:
        for name, values in queries.items():
            np.testing.assert_allclose(stored[name], values, rtol=1e-6)


def test_their_intervals_resample_classes(cfg, tmp_path):
    by_class = evaluated(cfg, tmp_path, AllPairs.auto)
    by_query = evaluated(
        changed(cfg, "evaluation", resample=Resample["query"]), tmp_path, AllPairs.auto
    )
    assert by_class["style/map"] == by_query["style/map"]
    assert by_class["style/map_low"] != by_query["style/map_low"]


def test_images_that_are_left_out_are_not_ranked_either():
    some = np.arange(N) % 4 == 0
    relevance = Relevance(STYLE, [np.arange(N), ARTIST])
    metrics, queries = all_pairs(FEATURES, [Task("x", replace(relevance, left_out=some))])
    kept = Relevance(STYLE[~some], [group[~some] for group in relevance.excluded])
    expected, alone = all_pairs(FEATURES[~some], [Task("x", kept)])
    assert metrics == pytest.approx(expected)
    for name, values in alone.items():
        np.testing.assert_allclose(queries[name][~some], values)
        assert np.isnan(queries[name][some]).all()


def test_csls_orders_whole_rankings_too(cfg, tmp_path):
    penalty = torch.tensor(DRAW.random(N))
    metrics = evaluated(cfg, tmp_path, AllPairs.auto, replace(RANKING, penalty=penalty))
    expected, _ = all_pairs(FEATURES, [Task("style", Relevance(STYLE, [np.arange(N)]))], penalty)
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert metrics["style/map"] != evaluated(cfg, tmp_path, AllPairs.auto)["style/map"]


@pytest.mark.parametrize(("dtype", "is_read"), [("float32", True), ("float16", False)])
def test_scores_are_read_from_a_matrix_that_has_them(cfg, tmp_path, monkeypatch, dtype, is_read):
    path, computed = tmp_path / "matrix.npy", list[int]()
    write_matrix(FEATURES, path, dtype)
    fill = AllScores._fill
    monkeypatch.setattr(AllScores, "_fill", lambda *a: computed.append(1) or fill(*a))
    expected = evaluated(cfg, tmp_path, AllPairs.auto)
    computed.clear()
    found = evaluated(cfg, tmp_path, AllPairs.auto, replace(RANKING, matrix=path))
    assert found | {"matrix_mb": 0.0} == expected
    assert (not computed) == is_read


def test_a_matrix_that_another_run_has_grown_since_is_not_missed(cfg, tmp_path):
    gone = replace(RANKING, matrix=tmp_path / "gone.npy")
    found = evaluated(cfg, tmp_path, AllPairs.auto, gone)
    assert found == evaluated(cfg, tmp_path, AllPairs.auto)
    assert found["matrix_mb"] == 0


def test_no_other_run_takes_a_matrix_that_is_read(cfg, tmp_path, monkeypatch):
    path, locked = tmp_path / "matrix.npy", list[bool]()
    write_matrix(FEATURES, path)
    bands = StoredScores.bands

    def tried(*arguments):
        """Note whether the folder is locked when scores are read."""
        lock = file_lock(tmp_path / ".lock")
        with pytest.raises(Timeout):
            lock.acquire(blocking=False)
        locked.append(True)
        return bands(*arguments)

    monkeypatch.setattr(StoredScores, "bands", tried)
    evaluated(cfg, tmp_path, AllPairs.auto, replace(RANKING, matrix=path))
    assert locked == [True]


@pytest.mark.parametrize("choice", [AllPairs.never, AllPairs.auto])
def test_without_them_an_estimate_has_another_name(cfg, tmp_path, monkeypatch, caplog, choice):
    caplog.set_level("INFO")
    monkeypatch.setattr(stage, "MAX_RANKED", {"cpu": N - 1})
    metrics = evaluated(cfg, tmp_path, choice)
    assert whole_names(metrics, "style") == whole_names(metrics, "artist") == set()
    assert 0.3 < metrics["style/label_auc_sampled"] < 0.7
    assert "style-no_same_artist/label_auc_sampled" not in metrics
    said = "ranking 40 images for each takes long: evaluation.all_pairs=always"
    assert (said in caplog.text) == (choice is AllPairs.auto)


def test_more_images_are_ranked_if_asked_for(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "MAX_RANKED", {"cpu": N - 1})
    assert whole_names(evaluated(cfg, tmp_path, AllPairs.always), "style") == WHOLE
    monkeypatch.setattr(stage, "MAX_RANKED", {"cpu": N})
    assert whole_names(evaluated(cfg, tmp_path, AllPairs.auto), "style") == WHOLE
