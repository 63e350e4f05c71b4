"""Runs over files of vectors."""

from pathlib import Path
from typing import Any

import numpy as np

from src.config import Backbone, Config, Tracking
from src.config.enums import WandbMode
from src.config.features import Features
from src.gallery.features import features_gallery
from src.pipeline.embed import embed

VECTORS = Backbone(name="vectors", weights="none", layer="vectors")


def own(outputs: Path, features: Path, labels: Path | None = None, **data: Any) -> Config:
    """Return the options of a run over a file of vectors, without trackers."""
    return Config(
        data=Features(features=str(features), labels=labels and str(labels), **data),
        backbone=VECTORS,
        tracking=Tracking(wandb=WandbMode.off, tensorboard=False),
        outputs=str(outputs),
    )


def saved(folder: Path, rows: np.ndarray, name: str = "x.npy") -> Path:
    """Write vectors to a .npy file and return its path."""
    folder.mkdir(exist_ok=True)
    np.save(folder / name, rows)
    return folder / name


def embedded(cfg: Config) -> Any:
    """Return the embeddings of the gallery of cfg."""
    assert isinstance(cfg.data, Features)
    return embed(features_gallery(cfg.data, cfg.seed, Path(cfg.outputs)), cfg)
