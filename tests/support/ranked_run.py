"""Write a finished run over given features: its real neighbors and metrics, without a network."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from src.config import Config, Similarity
from src.config.enums import Exclude, Postprocess, RankedBy, Storage
from src.embedding.cache import Embeddings
from src.gallery.gallery import write_gallery
from src.gallery.judgements import Verdict
from src.io.outputs import Outputs
from src.pipeline.evaluate import evaluate
from src.pipeline.rank import rank
from src.pipeline.report import write_report
from src.reporting.run_folder import RunFolder

LAYER = "layer4"
CHOICES = {
    "postprocess": Postprocess,
    "ranking": RankedBy,
    "exclude": Exclude,
    "storage": Storage,
}


def clustered(n: int = 60, d: int = 24) -> np.ndarray:
    """Return features of n images around six centers, of which two images are equal, (n, d)."""
    draw = np.random.default_rng(0)
    rows = draw.random((6, d))[np.arange(n) % 6] + 0.3 * draw.random((n, d))
    rows[n - 1] = rows[0]
    return rows.astype(np.float32)


def works_of(n: int = 60, **columns: list[str]) -> pd.DataFrame:
    """Return n rows of works.csv: three views of each object, artists by cluster, some unknown."""
    numbers = range(n)
    given = {
        "image_id": [str(i) for i in numbers],
        "file": [f"{i:03d}.png" for i in numbers],
        "object_id": [str(1000 + i // 3) for i in numbers],
        "title": [f"Painting {i}" for i in numbers],
        "artist": ["" if i % 11 == 5 else f"artist {i % 6 // 2}" for i in numbers],
        "date": [str(1600 + i) for i in numbers],
        "style": [("Baroque", "Rococo", "")[i % 3] for i in numbers],
        "width": ["300"] * n,
        "height": ["200"] * n,
        "sha256": [""] * n,
    }
    return pd.DataFrame(given | columns, dtype=object)


def write_ranked_run(
    outputs: Path,
    works: pd.DataFrame | None = None,
    features: np.ndarray | None = None,
    job: str = "12-00-00",
    verdicts: Sequence[Verdict] = (),
    **similarity: Any,
) -> Path:
    """Return the folder of a run below outputs; similarity are names of its options' values.

    verdicts are those of data.judgements.
    """
    features = clustered() if features is None else features
    works = works_of(len(features)) if works is None else works
    gallery = write_gallery("folder", outputs / "images", works, {"n": len(works)}, outputs)
    gallery = replace(gallery, verdicts=verdicts)
    embeddings = Outputs(outputs).embeddings / gallery.name / "invented-0" / LAYER
    write_layer(embeddings, features, gallery.files)
    options = {"top_k": 10} | similarity
    typed = {n: CHOICES[n][v] if n in CHOICES else v for n, v in options.items()}
    cfg = Config(outputs=str(outputs), similarity=Similarity(**typed))
    folder = Outputs(outputs).runs / "2026-01-01" / job
    (folder / ".hydra").mkdir(parents=True)
    settings = {"backbone": {"name": "resnet50", "layer": LAYER}, "similarity": options}
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(settings))
    embedded = Embeddings(embeddings, gallery, features, {})
    ranking = rank(embedded, cfg, folder)
    metrics = evaluate(ranking, gallery, cfg, folder)
    write_report(metrics | {"images": len(works)}, embedded, ranking, cfg, folder)
    return RunFolder(folder).path


def write_layer(folder: Path, features: np.ndarray, files: list[str]) -> None:
    """Write the features of a layer."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "features.npy", features)
    np.save(folder / "image_names.npy", np.array(files))
