"""A run over a folder that has changed equals, to the bit, a run that has never seen it before."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.config import Backbone, Config
from src.config.enums import Exclude, Postprocess, RankedBy, Storage
from src.config.features import Features
from src.similarity.centering import Centered
from tests.support.options import changed
from tests.test_run import outcome, results

DRAW = np.random.default_rng(7)
PICTURES = DRAW.integers(0, 256, (8, 36, 40, 3), dtype=np.uint8)


@pytest.fixture
def options(cfg: Config, small_squares: None) -> Config:
    """Return the options of a run; a network gives other last bits to images in other batches."""
    return changed(cfg, "data", batch_size=1)


def save(path: Path, number: int) -> None:
    """Write one of the pictures."""
    Image.fromarray(PICTURES[number]).save(path)


def add(folder: Path) -> None:
    """Add pictures before, between and after the others."""
    for number, name in enumerate(("ada/00.png", "bea/1 and a half.png", "cleo/zz.png")):
        save(folder / name, number)


def remove(folder: Path) -> None:
    """Remove two pictures."""
    for path in (sorted(folder.glob("*/*"))[at] for at in (0, 6)):
        path.unlink()


def change(folder: Path) -> None:
    """Replace a picture, add a copy of another, rename a third."""
    first, second, third = sorted(folder.glob("*/*"))[3:6]
    save(first, 5)
    shutil.copy(second, folder / "cleo" / "copy.png")
    third.rename(folder / "ada" / "renamed.png")


def assert_equal_to_fresh(cfg: Config, step: Any, tmp_path: Path) -> dict[str, Any]:
    """Run before and after a change; compare with a run in other outputs; return the metrics."""
    outcome(cfg, tmp_path / "before")
    step(Path(cfg.data.images))  # type: ignore[attr-defined]
    grown = outcome(cfg, tmp_path / "grown")
    fresh = outcome(replace(cfg, outputs=str(tmp_path / "others")), tmp_path / "fresh")
    assert results(grown) == results(fresh)
    for name in ("neighbors.npz", "queries.npz", "neighbors.csv", "hubs.csv", "map-pca.npy"):
        assert (tmp_path / "grown" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()
    return grown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "embedded", "new"), [(add, 3, 3), (remove, 0, 0), (change, 1, 2)]
)  # a copy of an image is new, but its features are not
def test_a_folder_that_changes(options, tmp_path, caplog, monkeypatch, step, embedded, new):
    pairs = list[int]()
    tile = Centered.tile

    def counted(*given: Any) -> Any:
        found = tile(*given)
        pairs.append(found.numel())
        return found

    monkeypatch.setattr(Centered, "tile", counted)
    with caplog.at_level(logging.INFO):
        grown = assert_equal_to_fresh(options, step, tmp_path)
    n = grown["images"]
    assert grown.get("embedded_rows", 0) == embedded
    assert grown["copied_rows"] == n - embedded
    assert pairs[1:-1] == ([new * new, new * (n - new)] if new else [])
    assert f"images are those of {options.outputs}" in caplog.text


VARIANTS: list[dict[str, Any]] = [
    {"postprocess": Postprocess.whiten},
    {"postprocess": Postprocess.center, "exclude": Exclude.same_image},
    {"ranking": RankedBy.csls},
    {"augment": 2},
    {"augment": 2, "ranking": RankedBy.csls, "exclude": Exclude.same_image},
    {"storage": Storage.full},
]


@pytest.mark.slow
@pytest.mark.parametrize("step", [add, remove, change])
@pytest.mark.parametrize("how", VARIANTS, ids=str)
def test_a_folder_that_changes_with_every_way_to_compare(options, tmp_path, step, how):
    grown = assert_equal_to_fresh(changed(options, "similarity", **how), step, tmp_path)
    assert grown["images"] >= 10


@pytest.mark.slow
def test_a_larger_data_limit(options, tmp_path, caplog):
    folder = Path(options.data.images)
    outcome(changed(options, "data", limit=10), tmp_path / "before")
    with caplog.at_level(logging.INFO):
        grown = outcome(changed(options, "data", limit=12), tmp_path / "grown")
    other = replace(options, outputs=str(tmp_path / "others"))
    fresh = outcome(changed(other, "data", limit=12), tmp_path / "fresh")
    assert results(grown) == results(fresh)
    assert grown["embedded_rows"] == 2
    assert "10 of 12 images are those of" in caplog.text
    assert folder.is_dir()


@pytest.mark.slow
def test_own_vectors_that_get_more_rows(cfg, tmp_path, caplog):
    def vectors(rows: np.ndarray, outputs: str) -> Config:
        np.save(tmp_path / "vectors.npy", rows)
        table = "\n".join(["artist", *(f"a{row % 7}" for row in range(len(rows)))])
        (tmp_path / "labels.csv").write_text(table)
        data = Features(features=str(tmp_path / "vectors.npy"), labels=str(tmp_path / "labels.csv"))
        backbone = Backbone(name="vectors", weights="none", layer="vectors")
        return replace(cfg, data=data, backbone=backbone, outputs=outputs)

    rows = np.random.default_rng(0).random((330, 16), dtype="f4")
    outcome(vectors(rows[:300], cfg.outputs), tmp_path / "before")
    with caplog.at_level(logging.INFO):
        grown = outcome(vectors(rows, cfg.outputs), tmp_path / "grown")
    fresh = outcome(vectors(rows, str(tmp_path / "others")), tmp_path / "fresh")
    assert results(grown) == results(fresh)
    assert "300 of 330 images are those of" in caplog.text
