"""What the whole is for: real paintings, a sweep that says which settings are better, and what a
computation without this project finds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
import yaml
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors
from torchvision.transforms import v2

from src.config import Backbone, Config, Evaluation, Similarity
from src.config.enums import Postprocess, Storage
from src.config.features import Features
from src.evaluation.ranked_lists import RankedLists
from src.evaluation.relevance import Relevance
from src.evaluation.retrieval import retrieval
from src.gallery.folder import folder_gallery
from src.leaderboard.__main__ import main
from src.pipeline.embed import embed
from src.pipeline.prepare import postprocess
from src.reporting.run_folder import RunFolder
from src.similarity import top_k
from tests.support.commands import command
from tests.support.options import changed, small
from tests.test_run import outcome, results

LAYERS = "features.7,features.10,features.12"
pytestmark = pytest.mark.timeout(900)  # with the sweep and the run before the first test
SWEPT = ["backbone.layer", "similarity.postprocess", "similarity.ranking"]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all tests of this file keep their rows, so that each image is embedded once."""
    return tmp_path_factory.mktemp("real") / "outputs"


@pytest.fixture(scope="module")
def chosen(shared_data: Path, outputs: Path) -> Config:
    """SqueezeNet's features.10 of the real paintings."""
    images, weights = shared_data / "paintings", shared_data / "weights" / "squeezenet1_1.pth"
    cfg = changed(small(images, outputs), "data", labels=str(images / "manifest.csv"))
    cfg = changed(cfg, "similarity", top_k=10)
    backbone = Backbone(
        "squeezenet1_1", str(weights), layer="features.10", layers=LAYERS.split(",")
    )
    return replace(cfg, backbone=backbone, evaluation=Evaluation(labels=["artist", "style"]))


@pytest.fixture(scope="module")
def found(chosen: Config, outputs: Path) -> pd.DataFrame:
    """The leaderboard of the sweep and of a ResNet50 with random weights; run is a folder."""
    same = ["data=folder", f"data.images={chosen.data.images}", f"data.labels={chosen.data.labels}"]
    same += ["evaluation.labels=[artist,style]", "tracking=off", f"outputs={outputs}"]
    same += ["trainer.accelerator=cpu"]
    swept = ["backbone.name=squeezenet1_1", f"backbone.weights={chosen.backbone.weights}"]
    swept += [f"backbone.layer={LAYERS}", f"backbone.layers=[{LAYERS}]"]
    swept += ["similarity.postprocess=none,center,whiten", "similarity.ranking=cosine,csls"]
    assert command("src.run", "-m", *same, *swept).returncode == 0
    assert command("src.run", *same, "backbone.weights=random").returncode == 0
    (sweep,), (random,) = outputs.glob("sweeps/*/*"), outputs.glob("runs/*/*")
    assert main([str(sweep), str(random)]) == 0
    table = pd.read_csv(sweep / "leaderboard.csv", keep_default_na=False, na_values=[""])
    folders = {str(job): str(sweep / str(job)) for job in range(18)} | {random.name: str(random)}
    return table.assign(run=table["run"].map(folders))


@pytest.mark.slow
def test_the_best_is_ahead_of_the_plain_one_by_query_and_not_beyond_chance_by_artist(
    found: pd.DataFrame,
) -> None:
    assert len(found) == 19
    plain = found[
        (found[SWEPT] == ["features.10", "none", "cosine"]).all(axis=1)
        & (found["backbone.name"] == "squeezenet1_1")
    ].iloc[0]
    assert plain["artist/map_at_10"] < found["artist/map_at_10"][0]
    best, other = (
        np.load(Path(run) / "queries.npz")["artist/map_at_10"]
        for run in (found["run"][0], plain["run"])
    )
    pairs = (best - other)[~np.isnan(best)]
    draw = np.random.default_rng(0)
    means = draw.choice(pairs, (2000, len(pairs))).mean(axis=1)
    assert np.percentile(means, 2.5) > 0 and plain["behind"] == pytest.approx(
        pairs.mean(), abs=1e-6
    )
    assert plain["behind_low"] < 0 < plain["behind_high"]  # 21 artists


@pytest.mark.slow
def test_random_weights_are_last_and_far_behind(found: pd.DataFrame) -> None:
    random = found["backbone.weights"] == "random"
    assert random.sum() == 1
    for metric in ("artist/map_at_10", "artist/precision_at_1", "style/map_at_10"):
        assert found[metric][random].item() < 0.65 * found[metric][~random].min(), metric
    # which the mean similarities do not say
    assert found["intra"][random].item() == found["intra"].max()


@pytest.mark.slow
def test_scikit_learn_agrees_about_the_best(found: pd.DataFrame, shared_data: Path) -> None:
    best = found.iloc[0]
    assert list(best[SWEPT]) == ["features.10", "center", "cosine"]
    paths = yaml.safe_load((Path(best["run"]) / "paths.yaml").read_text())
    embeddings = Path(best["run"]) / paths["embeddings"]
    features = np.load(embeddings / "features.npy").astype(np.float64)
    works = pd.read_csv(shared_data / "paintings" / "manifest.csv").set_index("file")
    artist = works["artist"].loc[np.load(embeddings / "image_names.npy")].to_numpy()

    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    searched = NearestNeighbors(metric="cosine", algorithm="brute").fit(unit - unit.mean(0))
    distance, index = searched.kneighbors(n_neighbors=10)  # without the query itself
    others = pd.Series(artist).map(pd.Series(artist).value_counts()).to_numpy() - 1
    hit = (artist[index] == artist[:, None])[others > 0]
    for depth in (1, 5, 10):
        assert hit[:, :depth].mean() == pytest.approx(
            best[f"artist/precision_at_{depth}"], abs=1e-6
        )
    each = [
        average_precision_score(right, -far) * right.sum() / min(10, possible) if right.any() else 0
        for right, far, possible in zip(hit, distance[others > 0], others[others > 0], strict=True)
    ]
    assert np.mean(each) == pytest.approx(best["artist/map_at_10"], abs=1e-6)

    metrics = RunFolder(Path(best["run"])).metrics() or {}
    whole = whole_rankings(cosine_similarity(unit - unit.mean(0)), artist, others > 0)
    for name, value in whole.items():
        assert metrics[f"artist/{name}"] == pytest.approx(value, abs=1e-6)


def whole_rankings(cosine: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> dict[str, float]:
    """Return map, r_precision and label_auc of the asked queries by scikit-learn."""
    values: dict[str, list[float]] = {"map": [], "r_precision": [], "label_auc": []}
    for query in np.flatnonzero(asked):
        others = np.arange(len(labels)) != query
        right, score = labels[others] == labels[query], cosine[query, others]
        values["map"].append(average_precision_score(right, score))
        values["label_auc"].append(roc_auc_score(right, score))
        values["r_precision"].append(right[np.argsort(-score)[: right.sum()]].mean())
    return {name: float(np.mean(found)) for name, found in values.items()}


@pytest.mark.slow
def test_both_storages_have_the_same_results(chosen: Config, tmp_path: Path) -> None:
    full = changed(chosen, "similarity", storage=Storage.full)
    metrics = outcome(full, tmp_path / "full")
    assert results(outcome(chosen, tmp_path / "topk")) == results(metrics)


@pytest.mark.slow
def test_neighbors_and_metrics_are_those_computed_without_this_project(
    chosen: Config, tmp_path: Path
) -> None:
    metrics = outcome(changed(chosen, "similarity", storage=Storage.full), tmp_path / "full")
    with np.load(tmp_path / "full" / "neighbors.npz") as found:
        index, score = found["index"], found["score"]

    images, works = Path(chosen.data.images), pd.read_csv(chosen.data.labels, keep_default_na=False)
    works = works.sort_values("file", ignore_index=True)
    cosine = cosine_similarity(plain_features(images, works["file"], chosen.backbone.weights))
    np.fill_diagonal(cosine, -1)
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :10]
    best = np.take_along_axis(cosine, order, 1)
    np.testing.assert_allclose(score, best, atol=1e-5)
    # where two images score the same to 1e-5, either may come first
    np.testing.assert_allclose(np.take_along_axis(cosine, index, 1), best, atol=1e-5)
    assert (index == order).mean() > 0.99
    for label in ("artist", "style"):
        values = works[label].to_numpy()
        asked = (values != "") & (works[label].map(works[label].value_counts()) > 1).to_numpy()
        right = (values == values[:, None])[asked]
        assert metrics[f"{label}/queries"] == asked.sum()
        for depth in (1, 10):
            least, most = precision_bounds(cosine[asked], right, depth)
            assert least - 1e-9 <= metrics[f"{label}/precision_at_{depth}"] <= most + 1e-9
            assert most - least < 0.01
        whole = whole_rankings(cosine, values, asked)
        assert {name: metrics[f"{label}/{name}"] for name in whole} == pytest.approx(
            whole, abs=1e-3
        )


def precision_bounds(cosine: np.ndarray, right: np.ndarray, depth: int) -> tuple[float, float]:
    """Return the least and the most precision at a depth if scores equal to 1e-5 may be ties.

    Rows of copies of a file are equal or not, which depends on the processor and the batch.
    """
    last = -np.sort(-cosine, axis=1)[:, depth - 1, None]
    sure, tied = cosine > last + 1e-5, np.abs(cosine - last) <= 1e-5
    found, free = (sure & right).sum(axis=1), depth - sure.sum(axis=1)
    least = found + np.maximum(0, free - (tied & ~right).sum(axis=1))
    most = found + np.minimum(free, (tied & right).sum(axis=1))
    return least.mean() / depth, most.mean() / depth


def plain_features(images: Path, files: pd.Series, weights: str) -> np.ndarray:
    """SqueezeNet's features.10, averaged, with Pillow and torchvision alone: (n, 384)."""
    network = torchvision.models.squeezenet1_1()
    network.load_state_dict(torch.load(weights, weights_only=True))
    network = network.features[:11].eval()
    prepare = v2.Compose(
        [
            v2.Resize((224, 224)),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    rows = []
    with torch.inference_mode():
        for file in files:
            image = prepare(Image.open(images / file).convert("RGB"))
            rows.append(network(image[None]).mean((2, 3))[0].numpy())
    return np.stack(rows)


@pytest.mark.slow
def test_whitening_finds_more_of_the_same_artist(chosen: Config, tmp_path: Path) -> None:
    images, labels = Path(chosen.data.images), Path(chosen.data.labels)
    chosen = changed(chosen, "backbone", layer="features.7")
    embeddings = embed(folder_gallery(images, labels, None, 0, Path(chosen.outputs)), chosen)
    artists = embeddings.gallery.labels("artist")
    groups = embeddings.gallery.exclusion_groups(chosen.similarity)
    precision = {}
    for kind in Postprocess:
        features = postprocess(embeddings, Similarity(postprocess=kind), tmp_path)
        lists = RankedLists(top_k(features, 1).index)
        metrics, _ = retrieval("artist", Relevance(artists, [groups]), lists)
        precision[kind] = metrics["artist/precision_at_1"]
    assert precision[Postprocess.whiten] >= precision[Postprocess.none] + 0.05


@pytest.mark.slow
def test_augmentation_is_that_of_numpy_and_finds_more_of_the_same_artist(
    chosen: Config, tmp_path: Path
) -> None:
    plain = outcome(chosen, tmp_path / "plain")
    metrics = outcome(changed(chosen, "similarity", augment=5), tmp_path / "augmented")
    run = RunFolder(tmp_path / "augmented")
    unit = np.array(run.features(), np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -1)
    order = np.argsort(-cosine, axis=1)[:, :5]
    weights = np.take_along_axis(cosine, order, 1)[..., None] ** 3
    unit = unit + (weights * unit[order]).sum(axis=1)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -1)
    index, score = run.neighbors()
    np.testing.assert_allclose(np.take_along_axis(cosine, index, 1), score, atol=1e-6)
    np.testing.assert_allclose(-np.sort(-cosine, axis=1)[:, :10], score, atol=1e-6)
    assert (index == np.argsort(-cosine, axis=1)[:, :10]).mean() > 0.999
    assert metrics["artist/map_at_10"] >= plain["artist/map_at_10"] + 0.018


@pytest.mark.slow
def test_a_networks_rows_given_back_as_ones_own_end_in_the_same_bits(
    chosen: Config, outputs: Path, tmp_path: Path
) -> None:
    theirs = results(outcome(chosen, tmp_path / "theirs"))
    files = RunFolder(tmp_path / "theirs")
    rows, gallery = (tmp_path / "theirs" / files.paths()[n] for n in ("embeddings", "gallery"))
    images = chosen.data.images
    for given in (None, images):
        data = Features(
            features=str(rows / "features.npy"), labels=str(gallery / "works.csv"), images=given
        )
        backbone = Backbone("vectors", "none", "vectors")
        own = replace(chosen, data=data, backbone=backbone, outputs=str(tmp_path / "outputs"))
        folder = tmp_path / ("with" if given else "without")
        mine = results(outcome(own, folder))
        for one, other in zip(RunFolder(folder).neighbors(), files.neighbors(), strict=True):
            np.testing.assert_array_equal(one, other)
        assert len(theirs.keys() & mine.keys()) > 100
        differing = {n for n in theirs.keys() | mine.keys() if theirs.get(n) != mine.get(n)}
        assert differing <= {"weights", "vectors", "precision", "skipped"}
        assert RunFolder(folder).paths()["images"] == files.paths()["images"]  # one leaderboard
