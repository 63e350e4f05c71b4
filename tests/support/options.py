"""Options of small runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from src.config import Backbone, Config, Similarity, Tracking, Trainer
from src.config.data import Folder
from src.config.enums import Accelerator, WandbMode


def small(images: Path, outputs: Path) -> Config:
    """Return the options of a run over small paintings: small network, no trackers."""
    return Config(
        data=Folder(images=str(images)),
        backbone=Backbone(name="resnet18", weights="random", layer="layer1", layers=[]),
        similarity=Similarity(top_k=3),
        tracking=Tracking(wandb=WandbMode.off, tensorboard=False),
        trainer=Trainer(accelerator=Accelerator.cpu),
        outputs=str(outputs),
    )


def changed(cfg: Config, group: str, **options: Any) -> Config:
    """Return cfg with other options of a group, "data" or "trainer", say."""
    return replace(cfg, **{group: replace(getattr(cfg, group), **options)})


def store(cfg: Config, folder: Path) -> None:
    """Store options in the folder of a run, as Hydra does when it starts one."""
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.structured(cfg), folder / ".hydra" / "config.yaml")
