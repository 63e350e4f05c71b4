"""Write folders as runs leave them, without running anything."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

N, K = 200, 4


def random_neighbors(draw: np.random.Generator, n: int = N) -> np.ndarray:
    """Return (n, K) random neighbor rows."""
    return draw.random((n, n)).argsort(axis=1)[:, :K].astype(np.int32)


def write_multirun(
    folder: Path, params: dict[str, str] | None, task: list[str], **more: Any
) -> None:
    """Write multirun.yaml as Hydra does at the start of a sweep."""
    target = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
    sweeper = {"_target_": target, "params": params} | more
    hydra = {
        "sweeper": sweeper,
        "sweep": {"subdir": "${hydra.job.num}"},
        "overrides": {"task": task},
    }
    (folder / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra}))


def write_run(
    folder: Path,
    average_precision: np.ndarray,
    index: np.ndarray,
    paths: dict[str, str] | None = None,
    **settings: Any,
) -> None:
    """Write a finished run with neighbors index (n, k) and artist/map_at_10 of each query (n,)."""
    (folder / ".hydra").mkdir(parents=True)
    options = {"backbone": {"layer": "layer4"}, "similarity": {"top_k": 4}} | settings
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(options))
    layer = options["backbone"]["layer"]
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump([f"backbone.layer={layer}"]))
    mean = float(np.nanmean(average_precision))
    metrics = {
        "images": len(average_precision),
        "intra": 0.5,
        "inter": 0.25,
        "artist/map_at_10": mean,
    }
    metrics |= {"artist/map_at_10_low": mean - 0.01, "artist/map_at_10_high": mean + 0.01}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "paths.yaml").write_text(
        yaml.safe_dump({"gallery": "../../galleries/g", "images": "0123", **(paths or {})})
    )
    np.savez(folder / "queries.npz", **{"artist/map_at_10": average_precision})
    score = np.linspace(0.9, 0.8, index.size, dtype="f4").reshape(index.shape)
    np.savez(folder / "neighbors.npz", index=index, score=score)


def update_metrics(folder: Path, **metrics: Any) -> None:
    """Add metrics to a run's metrics.json."""
    path = folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | metrics))
