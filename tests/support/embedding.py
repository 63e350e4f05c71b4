"""What tests of embedding share."""

from pathlib import Path

import lightning as L
import pytest

from src.config import Config
from src.gallery import Gallery
from src.gallery.folder import folder_gallery

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels


def list_gallery(cfg: Config, limit: int | None = None) -> Gallery:
    """Return the gallery of the folder that cfg names, as it is now."""
    return folder_gallery(Path(cfg.data.images), None, limit, 0, Path(cfg.outputs))


def folders(cfg: Config) -> list[str]:
    """Return the names of folders of layers and of unfinished passes."""
    return [path.name for path in Path(cfg.outputs, "embeddings").glob("*/*/*") if path.is_dir()]


def forbid_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test when images go through a network."""
    monkeypatch.setattr(L.Trainer, "predict", lambda *_, **__: pytest.fail("embedded again"))
