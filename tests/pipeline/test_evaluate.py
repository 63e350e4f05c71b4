import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from src.config import Config
from src.config.enums import Exclude, Resample, UnknownArtists
from src.evaluation.bootstrap import intervals
from src.evaluation.ranked_lists import RankedLists
from src.evaluation.relevance import Relevance
from src.evaluation.retrieval import Metrics, retrieval
from src.gallery import Gallery
from src.pipeline.evaluate import evaluate
from src.pipeline.rank import Ranking
from src.similarity import Neighbors, top_k
from tests.support.options import changed

N, K = 60, 12
DRAW = np.random.default_rng(0)
FEATURES = DRAW.random((N, 5), dtype="f4")
FEATURES[1] = FEATURES[0]
OBJECT, ARTIST = np.arange(N) // 3, np.arange(N) // 12
STYLE = DRAW.integers(4, size=N)


def gallery(**columns: np.ndarray) -> Gallery:
    works = {"image_id": np.arange(N), "file": [f"{row}.jpg" for row in range(N)], **columns}
    return Gallery(
        "g", Path(), pd.DataFrame({k: np.asarray(v).astype(str) for k, v in works.items()})
    )


def evaluated(
    gallery: Gallery, cfg: Config, folder: Path, features: np.ndarray = FEATURES, depth: int = K
) -> dict:
    cfg = changed(cfg, "evaluation", resamples=50, pairs=500)
    deep = top_k(features, depth, groups=gallery.exclusion_groups(cfg.similarity))
    k = cfg.similarity.top_k
    top = Neighbors(deep.index[:, :k], deep.score[:, :k], 0)
    return evaluate(Ranking(torch.tensor(features), top, deep, None, "cpu"), gallery, cfg, folder)


def style_metrics(index: np.ndarray, *excluded: np.ndarray) -> Metrics:
    return retrieval("style", Relevance(STYLE, excluded), RankedLists(index))[0]


def names(metrics: dict) -> set[str]:
    """Return the labels and filters that have metrics."""
    return {name.partition("/")[0] for name in metrics if "/" in name}


def test_labels_are_evaluated_with_and_without_the_same_object_and_artist(cfg, tmp_path):
    all_of_it = gallery(object_id=OBJECT, artist=ARTIST, style=STYLE)
    metrics = evaluated(all_of_it, cfg, tmp_path)
    assert names(metrics) == {
        *("object", "artist", "artist-no_same_object"),
        *("style", "style-no_same_object", "style-no_same_artist"),
    }
    index = top_k(FEATURES, K).index
    for filtered, excluded in (("object", [OBJECT]), ("artist", [OBJECT, ARTIST])):
        result = style_metrics(index, *excluded)
        for name in ("map_at_10", "precision_at_1_chance", "fewer_than_10"):
            assert metrics[f"style-no_same_{filtered}/{name}"] == result[f"style/{name}"]
    assert metrics["object/queries"] == N


def test_filters_that_exclude_nothing_are_omitted(cfg, tmp_path):
    alone = gallery(object_id=np.arange(N), style=STYLE)
    assert names(evaluated(alone, cfg, tmp_path)) == {"style"}
    excluded = changed(cfg, "similarity", exclude=Exclude.same_object)
    assert names(evaluated(gallery(object_id=OBJECT, style=STYLE), excluded, tmp_path)) == {"style"}


def test_the_artist_filter_respects_images_excluded_from_the_search(cfg, tmp_path):
    artist = np.where(ARTIST == 0, "", ARTIST.astype(str))
    excluded = changed(cfg, "similarity", exclude=Exclude.same_object)
    some = gallery(object_id=OBJECT, artist=artist, style=STYLE)
    metrics = evaluated(some, excluded, tmp_path)
    alone = np.where(ARTIST == 0, N + np.arange(N), ARTIST)
    result = style_metrics(top_k(FEATURES, K, groups=OBJECT).index, OBJECT, alone)
    for name in ("queries", "map_at_10", "map_at_10_chance", "recall_at_10_chance"):
        assert metrics[f"style-no_same_artist/{name}"] == result[f"style/{name}"]


def test_images_of_unknown_artist_are_strangers_or_left_out(cfg, tmp_path):
    unknown = ARTIST == 0
    some = gallery(object_id=OBJECT, artist=np.where(unknown, "", ARTIST.astype(str)), style=STYLE)
    kept = evaluated(some, cfg, tmp_path)
    assert (kept["style-no_same_artist/strangers"], kept["style-no_same_artist/queries"]) == (12, N)
    assert "style-no_same_artist/left_out" not in kept and "style/strangers" not in kept
    options = changed(cfg, "evaluation", unknown_artists=UnknownArtists.left_out)
    left = evaluated(some, options, tmp_path, depth=N - 1)  # so that no list is short
    known = Gallery("g", Path(), some.works[~unknown].reset_index(drop=True))
    expected = evaluated(known, cfg, tmp_path, FEATURES[~unknown], depth=N - 13)
    for name in (
        "queries",
        "singletons",
        "empty",
        "precision_at_1",
        "map_at_10",
        "map_at_10_chance",
    ):
        filtered = f"style-no_same_artist/{name}"
        assert left[filtered] == pytest.approx(expected[filtered]), name
    assert left["style-no_same_artist/left_out"] == 12
    assert "style-no_same_artist/strangers" not in left


def test_a_hit_shares_one_of_several_labels_if_asked_for(cfg, tmp_path):
    first, second = STYLE, (STYLE + DRAW.integers(0, 3, size=N)) % 4
    styles = np.array([f"s{one};s{other}" for one, other in zip(first, second, strict=True)])
    artists = np.array([f"a{one}; a{one % 3}" if one % 2 else f"a{one}" for one in ARTIST])
    some = gallery(artist=artists, style=styles)
    metrics = evaluated(some, changed(cfg, "evaluation", multilabel=";"), tmp_path)
    style, artist = np.stack([first, second], axis=1), np.stack([ARTIST, ARTIST % 3], axis=1)
    artist[ARTIST % 2 == 0, 1] = -1
    found = top_k(FEATURES, K)
    for name, excluded in (("style", []), ("style-no_same_artist", [artist])):
        relevance = Relevance(style, [np.arange(N), *excluded])
        result, _ = retrieval("style", relevance, RankedLists(found.index, found.score))
        for end in ("queries", "classes", "map_at_10", "map_at_10_chance", "hit_at_10_macro"):
            assert metrics[f"{name}/{end}"] == pytest.approx(result[f"style/{end}"]), end
    assert metrics["style/classes"] == 4
    assert evaluated(some, cfg, tmp_path)["style/classes"] > 4  # a text is one value


def test_an_embedding_without_differences_gets_chance(cfg, tmp_path):
    some = gallery(object_id=OBJECT, artist=ARTIST, style=STYLE)
    metrics = evaluated(some, cfg, tmp_path, np.ones((N, 3), dtype="f4"))
    measured = [name for name in metrics if f"{name}_chance" in metrics]
    assert len(measured) == 5 * 18 + 2
    for name in measured:
        assert metrics[name] == pytest.approx(metrics[f"{name}_chance"]), name


def test_intervals_are_by_class_of_the_label_or_by_query(cfg, tmp_path):
    some = gallery(object_id=OBJECT, style=STYLE)
    by_class = evaluated(some, cfg, tmp_path)
    by_query = evaluated(some, changed(cfg, "evaluation", resample=Resample["query"]), tmp_path)
    with np.load(tmp_path / "queries.npz") as queries:
        for name, classes in (("style/map_at_10", STYLE), ("object/recall_at_1", OBJECT)):
            alone = {name: queries[name]}
            for found, given in ((by_class, {name: classes}), (by_query, {})):
                for end, value in intervals(alone, given, 50, cfg.seed).items():
                    assert found[end] == pytest.approx(value), end
    assert by_class["style/map_at_10_low"] != by_query["style/map_at_10_low"]
    for end in ("_macro_low", "_macro_high"):
        assert by_class[f"style/map_at_10{end}"] == by_query[f"style/map_at_10{end}"]
    assert by_class["style/classes"] == 4


def test_images_without_an_object_are_objects_of_their_own(cfg, tmp_path):
    unknown = np.where(OBJECT < 10, "", OBJECT.astype(str))
    some = evaluated(gallery(object_id=unknown, style=STYLE), cfg, tmp_path)
    assert some["object/queries"] == N - 30
    alone = np.where(OBJECT < 10, N + np.arange(N), OBJECT)
    result = style_metrics(top_k(FEATURES, K).index, alone)
    assert some["style-no_same_object/map_at_10"] == result["style/map_at_10"]


def test_each_metric_is_the_mean_of_its_queries_and_within_its_interval(cfg, tmp_path):
    metrics = evaluated(gallery(object_id=OBJECT, style=STYLE), cfg, tmp_path)
    with np.load(tmp_path / "queries.npz") as queries:
        assert len(queries.files) == 23
        for name in queries.files:
            assert np.nanmean(queries[name]) == pytest.approx(metrics[name], rel=1e-5)
            assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"], name


def test_hubs_and_near_duplicates_are_listed(cfg, tmp_path):
    metrics = evaluated(gallery(style=STYLE), changed(cfg, "similarity", top_k=3), tmp_path)
    hubs = list(csv.reader((tmp_path / "hubs.csv").read_text().splitlines()))
    counts = [int(count) for _, count in hubs[1:]]
    assert hubs[0] == ["file", "neighbor_of"] and len(counts) == 10
    assert counts == sorted(counts, reverse=True)
    pairs = list(csv.reader((tmp_path / "near_duplicates.csv").read_text().splitlines()))
    assert pairs[:2] == [["score", "file", "other"], ["1.000000", "0.jpg", "1.jpg"]]
    assert metrics["near_duplicates"] == len(pairs) - 1
    assert all(float(score) >= 0.98 for score, _, _ in pairs[1:])


def test_copies_are_counted_whether_or_not_they_are_neighbors(cfg, tmp_path):
    files = gallery(style=STYLE, sha256=np.where(np.arange(N) < 2, "a", ""))
    for exclude, pairs in ((Exclude.none, 1), (Exclude.same_image, 0)):
        options = changed(cfg, "similarity", exclude=exclude)
        metrics = evaluated(files, options, tmp_path)
        assert metrics["copies"] == 2
        lines = (tmp_path / "near_duplicates.csv").read_text().splitlines()
        assert sum("0.jpg,1.jpg" in line for line in lines) == pairs


def test_all_numbers_are_finite(cfg, tmp_path):
    even = gallery(style=np.zeros(N, dtype=int))
    metrics = evaluated(even, changed(cfg, "evaluation", labels=["style"]), tmp_path)
    assert "style/label_auc" not in metrics  # there are no pairs of two labels
    assert np.isfinite(list(metrics.values())).all()


def test_a_label_that_divides_the_images_as_an_earlier_one_is_evaluated_once(cfg, tmp_path, caplog):
    caplog.set_level("INFO")
    unknown = np.where(STYLE == 0, "", STYLE.astype(str))
    same = np.where(STYLE == 0, "", np.char.add("style ", STYLE.astype(str)))
    columns = {"style": unknown, "renamed": same, "school": STYLE, "folder": STYLE + 7}
    assert names(evaluated(gallery(**columns), cfg, tmp_path)) == {"style", "school"}
    assert "renamed divides the images as style does" in caplog.text
    assert "folder divides the images as school does" in caplog.text
    asked = changed(cfg, "evaluation", labels=["style", "renamed"])
    assert names(evaluated(gallery(**columns), asked, tmp_path)) == {"style", "renamed"}
