"""The best setting on real paintings, computed again with PyTorch, scikit-learn and numpy alone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import normalize
from torchvision.models import squeezenet1_1

from src.config import Backbone
from src.config.data import Data
from src.config.enums import Join, Pooling
from src.embedding.models import preset_of
from src.embedding.transforms import transform
from src.io.images import load_with_remark
from src.reporting.run_folder import RunFolder
from src.run import run
from tests.support.options import changed, small

LAYERS = (5, 7, 9, 11)  # of SqueezeNet's features: two from the middle, two late ones
NEAREST = 5
Rows = NDArray[np.float64]


def statistics(images: list[Path], weights: Path) -> list[Rows]:
    """Return each layer's channel means beside standard deviations, (n, 2d), of unit length each.

    Decoding and resizing are the program's own.
    """
    prepare = transform(preset_of(Backbone(name="squeezenet1_1", weights=str(weights))), Data())
    network = squeezenet1_1().eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    outputs: dict[int, torch.Tensor] = {}
    for layer in LAYERS:
        network.features[layer].register_forward_hook(
            lambda module, given, output, layer=layer: outputs.update({layer: output})
        )
    rows: dict[int, list[Rows]] = {layer: [] for layer in LAYERS}
    mean, std = (torch.tensor(values)[:, None, None] for values in (prepare.mean, prepare.std))
    for path in images:
        pixels = prepare(load_with_remark(path, 10**9, prepare.min_decode_size)[0])
        with torch.no_grad():
            network((torch.tensor(pixels).permute(2, 0, 1)[None] / 255 - mean) / std)
        for layer, output in outputs.items():
            maps = output[0].flatten(1).double().numpy()  # (d, positions)
            parts = [maps.mean(1), maps.std(1, ddof=1)]
            rows[layer].append(np.concatenate([part / np.linalg.norm(part) for part in parts]))
    return [np.stack(rows[layer]) for layer in LAYERS]


def whitened(rows: Rows) -> Rows:
    """Return unit rows on their principal axes, divided by the root of each axis's deviation."""
    pca = PCA(svd_solver="covariance_eigh")
    projected = pca.fit_transform(normalize(rows))
    kept = pca.explained_variance_ > 1e-10 * pca.explained_variance_[0]
    return np.asarray(normalize(projected[:, kept] * pca.explained_variance_[kept] ** -0.25))


def augmented(rows: Rows) -> Rows:
    """Return each row plus its nearest rows times the cubes of their cosines."""
    cosines = cosine_similarity(rows)
    np.fill_diagonal(cosines, -1)
    summed = normalize(rows)
    for row, near in enumerate(np.argsort(-cosines, axis=1)[:, :NEAREST]):
        summed[row] += cosines[row, near].clip(0) ** 3 @ normalize(rows[near])
    return summed


def mean_average_precision(rows: Rows, artists: "pd.Series[str]") -> float:
    """Return map_at_10 of artists over the paintings whose artist is known and has others."""
    cosines = cosine_similarity(rows)
    np.fill_diagonal(cosines, -2)
    values = []
    for row, artist in artists.dropna().items():
        others = int((artists == artist).sum()) - 1
        hits = (artists[np.argsort(-cosines[row])[:10]] == artist).to_numpy()
        if others:
            precision = hits.cumsum() / np.arange(1, 11)
            values.append(float(precision @ hits) / min(10, others))
    return float(np.mean(values))


@pytest.mark.slow  # 730 real paintings pass through the network, twice
def test_the_best_setting_is_repeated_by_hand(shared_data: Path, tmp_path: Path) -> None:
    paintings, weights = shared_data / "paintings", shared_data / "weights" / "squeezenet1_1.pth"
    cfg = small(paintings, tmp_path / "outputs")
    cfg = changed(cfg, "data", labels=str(paintings / "manifest.csv"))
    backbone = Backbone(
        name="squeezenet1_1",
        weights=str(weights),
        layer="+".join(f"features.{layer}" for layer in LAYERS),
        pooling=Pooling.meanstd,
        join=Join.whitened,
    )
    cfg = changed(replace(cfg, backbone=backbone), "similarity", augment=NEAREST)
    run(cfg, tmp_path / "run")
    works = RunFolder(tmp_path / "run").works()
    images = [paintings / file for file in works["file"]]
    joined = np.concatenate([whitened(rows) for rows in statistics(images, weights)], axis=1)
    artists = works["artist"].replace("", None).reset_index(drop=True)
    expected = mean_average_precision(augmented(joined), artists)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["artist/map_at_10"] == pytest.approx(expected, abs=1e-6)
    assert expected == pytest.approx(0.338, abs=0.003)
