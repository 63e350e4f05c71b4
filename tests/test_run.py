"""Whole runs on small paintings."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.config import Config, Evaluation
from src.config.data import Folder
from src.config.enums import Exclude, Storage
from src.errors import UserError
from src.run import run

ROOT = Path(__file__).resolve().parent.parent
COSTS = (  # beginnings of the names of metrics that differ between equal runs
    *("seconds/", "peak_", "images_per_second", "waiting_", "reused_", "device", "compile"),
    *("embed", "copied_", "resumed_", "idle_gpu", "matrix_mb"),
)


def outcome(cfg: Config, folder: Path) -> dict[str, Any]:
    """Run into folder, and return its metrics.json."""
    folder.mkdir(parents=True)
    run(cfg, folder)
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return metrics


def results(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics without the costs of the run."""
    return {name: value for name, value in metrics.items() if not name.startswith(COSTS)}


def test_a_run_leaves_its_files(finished_run: Path) -> None:
    assert {path.name for path in finished_run.iterdir()} == {
        *("metrics.json", "neighbors.npz", "top_3_similar.npy", "queries.npz", "paths.yaml"),
        *("neighbors.jpg", "scores.png", "scores.pdf", "hubs.csv", "near_duplicates.csv"),
        *("neighbors.csv", "paintings.csv", "map-pca.npy", "results.json"),
        *(["neighbors.parquet", "paintings.parquet"] if find_spec("pyarrow") else []),
    }


def test_neighbors_can_be_read_with_numpy_alone(finished_run: Path) -> None:
    named = np.load(finished_run / "top_3_similar.npy")
    (path,) = finished_run.parents[2].glob("embeddings/*/*/layer1/image_names.npy")
    names = np.load(path)
    with np.load(finished_run / "neighbors.npz") as neighbors:
        assert (neighbors["index"].dtype, neighbors["score"].dtype) == (np.int32, np.float32)
        np.testing.assert_array_equal(names[neighbors["index"]], named["name"])
        np.testing.assert_array_equal(neighbors["score"], named["score"])
    assert named.shape == (12, 3)


def test_both_storage_modes_agree(cfg: Config, tmp_path: Path) -> None:
    topk = outcome(cfg, tmp_path / "topk")
    full_cfg = replace(cfg, similarity=replace(cfg.similarity, storage=Storage.full))
    full = outcome(full_cfg, tmp_path / "full")
    assert results(full) == results(topk)
    assert (topk["matrix_mb"], full["matrix_mb"]) == (0, (128 + 12 * 12 * 4) / 1e6)
    with (
        np.load(tmp_path / "topk/neighbors.npz") as a,
        np.load(tmp_path / "full/neighbors.npz") as b,
    ):
        np.testing.assert_array_equal(a["index"], b["index"])
        np.testing.assert_array_equal(a["score"], b["score"])
        matrix = np.load(next(Path(cfg.outputs).glob("embeddings/*/*/*/similarity_scores.npy")))
        np.testing.assert_array_equal(np.take_along_axis(matrix, a["index"], 1), a["score"])


def test_a_second_run_embeds_nothing(
    cfg: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = outcome(cfg, tmp_path / "first")
    with caplog.at_level(logging.INFO):
        second = outcome(cfg, tmp_path / "second")
    assert "embedding: using cached features" in caplog.text
    assert (first["reused_embeddings"], second["reused_embeddings"]) == (False, True)
    assert results(second) == results(first)


def test_a_finished_matrix_is_not_written_again(cfg: Config, tmp_path: Path) -> None:
    full = replace(cfg, similarity=replace(cfg.similarity, storage=Storage.full))
    outcome(full, tmp_path / "first")
    matrix = next(Path(cfg.outputs).glob("embeddings/*/*/*/similarity_scores.npy"))
    written = matrix.stat().st_mtime_ns
    outcome(replace(full, similarity=replace(full.similarity, top_k=5)), tmp_path / "second")
    assert matrix.stat().st_mtime_ns == written


def test_a_too_large_top_k_is_an_error_before_torch_is_imported(
    paintings: Path, tmp_path: Path
) -> None:
    words = ["data=folder", f"data.images={paintings}", "similarity.top_k=12"]
    command = [sys.executable, "-X", "importtime", "-m", "src.run", *words, f"outputs={tmp_path}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "similarity.top_k must be between 1 and 11 for 12 images, got 12" in result.stderr
    assert " torch\n" not in result.stderr  # not yet imported


def test_an_unknown_label_is_an_error(cfg: Config, tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match="evaluation.labels: works.csv has no column foldr; .*; did you mean folder",
    ):
        run(replace(cfg, evaluation=Evaluation(labels=["foldr"])), tmp_path)


def test_unreadable_images_may_leave_too_few(cfg: Config, paintings: Path, tmp_path: Path) -> None:
    for path in sorted(paintings.glob("*/*.png"))[:9]:
        path.write_text("no image")
    with pytest.raises(UserError, match="between 1 and 2 for 3 images, got 3"):
        run(cfg, tmp_path)


def test_views_of_one_object_are_no_neighbors(cfg: Config, paintings: Path, tmp_path: Path) -> None:
    files = sorted(path.relative_to(paintings).as_posix() for path in paintings.glob("*/*.png"))
    objects = [file.split("/")[0] for file in files]
    table = tmp_path / "labels.csv"
    pd.DataFrame({"file": files, "object_id": objects}).to_csv(table, index=False)
    data = Folder(images=str(paintings), labels=str(table))
    options = replace(cfg.similarity, exclude=Exclude.same_object)
    outcome(replace(cfg, data=data, similarity=options), tmp_path / "run")
    named = np.load(tmp_path / "run" / "top_3_similar.npy")["name"]
    query_objects = np.array(objects)[:, None]
    assert (np.char.partition(named, "/")[..., 0] != query_objects).all()
