"""What the whole is for: a sweep over real paintings says which settings are better."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors

from src.leaderboard import main

ROOT = Path(__file__).resolve().parent.parent
SWEPT = ["backbone.layer", "similarity.postprocess", "similarity.ranking"]


@pytest.fixture(scope="module")
def found(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The leaderboard of the sweep and of a ResNet50 with random weights; run is a folder."""
    images, outputs = shared_data / "paintings", tmp_path_factory.mktemp("real")
    same = ["data=folder", f"data.images={images}", f"data.labels={images / 'manifest.csv'}"]
    same += ["evaluation.labels=[artist,style]", "tracking=off", f"outputs={outputs}"]
    small = ["backbone.name=squeezenet1_1"]
    small += [f"backbone.weights={shared_data / 'weights' / 'squeezenet1_1.pth'}"]
    layers = ["backbone.layer=features.7,features.10,features.12"]
    layers += ["backbone.layers=[features.7,features.10,features.12]"]
    ways = ["similarity.postprocess=none,center,whiten", "similarity.ranking=cosine,csls"]
    start = [sys.executable, "-m", "src.run"]
    subprocess.run([*start, "-m", *same, *small, *layers, *ways], cwd=ROOT, check=True)
    subprocess.run([*start, *same, "backbone.weights=random"], cwd=ROOT, check=True)
    (sweep,), (random,) = outputs.glob("sweeps/*/*"), outputs.glob("runs/*/*")
    assert main([str(sweep), str(random)]) == 0
    table = pd.read_csv(sweep / "leaderboard.csv", keep_default_na=False, na_values=[""])
    folders = {str(job): str(sweep / str(job)) for job in range(18)} | {random.name: str(random)}
    return table.assign(run=table["run"].map(folders))


def test_the_best_is_ahead_of_the_plain_one_beyond_chance(found: pd.DataFrame) -> None:
    assert len(found) == 19
    plain = found[
        (found[SWEPT] == ["features.10", "none", "cosine"]).all(axis=1)
        & (found["backbone.name"] == "squeezenet1_1")
    ].iloc[0]
    assert plain["artist/map_at_10"] < found["artist/map_at_10"][0]
    assert plain["behind_low"] > 0


def test_random_weights_are_last_and_far_behind(found: pd.DataFrame) -> None:
    random = found["backbone.weights"] == "random"
    assert random.sum() == 1
    for metric in ("artist/map_at_10", "artist/precision_at_1", "style/map_at_10"):
        assert found[metric][random].item() < 0.65 * found[metric][~random].min(), metric
    # which the mean similarities do not say
    assert found["intra"][random].item() == found["intra"].max()


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
