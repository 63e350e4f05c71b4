"""Folders as runs leave them, without the runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

N, K = 200, 4


def lists(draw: np.random.Generator) -> np.ndarray:
    """(N, K) random neighbors."""
    return draw.random((N, N)).argsort(axis=1)[:, :K].astype(np.int32)


def a_multirun(folder: Path, params: dict[str, str] | None, task: list[str], **more: Any) -> None:
    """What Hydra writes at the start of a sweep."""
    target = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
    sweeper = {"_target_": target, "params": params} | more
    hydra = {
        "sweeper": sweeper,
        "sweep": {"subdir": "${hydra.job.num}"},
        "overrides": {"task": task},
    }
    (folder / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra}))


def a_run(
    folder: Path,
    right: np.ndarray,
    index: np.ndarray,
    paths: dict[str, str] | None = None,
    **settings: Any,
) -> None:
    """What a run leaves, with the query metric artist/map_at_10 (n,)."""
    (folder / ".hydra").mkdir(parents=True)
    options = {"backbone": {"layer": "layer4"}, "similarity": {"top_k": 4}} | settings
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(options))
    layer = options["backbone"]["layer"]
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump([f"backbone.layer={layer}"]))
    mean = float(np.nanmean(right))
    metrics = {"images": len(right), "intra": 0.5, "inter": 0.25, "artist/map_at_10": mean}
    metrics |= {"artist/map_at_10_low": mean - 0.01, "artist/map_at_10_high": mean + 0.01}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "paths.yaml").write_text(
        yaml.safe_dump({"gallery": "../../galleries/g", "images": "0123", **(paths or {})})
    )
    np.savez(folder / "queries.npz", **{"artist/map_at_10": right})
    score = np.linspace(0.9, 0.8, index.size, dtype="f4").reshape(index.shape)
    np.savez(folder / "neighbors.npz", index=index, score=score)
