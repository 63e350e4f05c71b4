import os
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.demo import collection
from src.demo.collection import draw_collection

Records = list[dict[str, str]]
KEYS = "image_id file object_id title artist date classification school style medium view"
KEYS += " assistive_text"


@pytest.fixture(scope="module")
def folder(drawn_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn collection, to write into."""
    return shutil.copytree(drawn_demo / "seed-0", tmp_path_factory.mktemp("demo") / "seed-0")


@pytest.fixture(scope="module")
def works(folder: Path) -> Records:
    """What describes them."""
    return draw_collection(folder)


@pytest.fixture(scope="module")
def pixels(folder: Path, works: Records) -> np.ndarray:
    """All paintings squeezed to a square, in the order of works: (n, 64, 64, 3) from 0 to 1."""
    images = (Image.open(folder / work["file"]).resize((64, 64)) for work in works)
    return np.stack([np.asarray(image) for image in images]) / 255


def only_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw a single painting: one style, one painter, one work."""
    monkeypatch.setattr(collection, "TITLES", {collection.styles.grid: "Grid {n}"})
    monkeypatch.setattr(collection, "COARSENESS", (1.0,))
    monkeypatch.setattr(collection, "WORKS_PER_PAINTER", 1)


def spread(values: list[str], groups: list[str]) -> dict[str, set[str]]:
    """Return the set of values of each group."""
    members = defaultdict(set)
    for value, group in zip(values, groups, strict=True):
        members[group].add(value)
    return members


def column(works: Records, key: str) -> list[str]:
    return [work[key] for work in works]


def nearest_shares_label(features: np.ndarray, labels: list[str], groups: list[str]) -> float:
    """Return how often the nearest painting of another group (Euclidean distance) has the label."""
    squares = (features**2).sum(1)
    distance = squares[:, None] + squares - 2 * features @ features.T
    distance[np.array(groups)[:, None] == np.array(groups)] = np.inf
    names = np.array(labels)
    return float((names[distance.argmin(1)] == names).mean())


def test_the_collection_has_enough_paintings_styles_and_painters(works: Records) -> None:
    painters = spread(column(works, "artist"), column(works, "style"))
    assert len(works) >= 240
    assert len(painters) >= 12
    assert min(map(len, painters.values())) >= 3


def test_a_painter_has_one_style_and_one_school(works: Records) -> None:
    for key in ("style", "school"):
        assert {len(v) for v in spread(column(works, key), column(works, "artist")).values()} == {1}


def test_a_school_has_painters_of_many_styles(works: Records) -> None:
    styles = spread(column(works, "style"), column(works, "school"))
    assert min(map(len, styles.values())) >= 5


def test_records_are_complete_and_sorted_by_file(works: Records) -> None:
    assert all(list(work) == KEYS.split() and all(work.values()) for work in works)
    assert column(works, "file") == sorted(column(works, "file"))
    assert column(works, "image_id") == [Path(file).stem for file in column(works, "file")]
    for key in ("image_id", "object_id"):
        assert len(set(column(works, key))) == len(works)


def test_the_works_of_a_painter_span_less_than_60_years(works: Records) -> None:
    for years in spread(column(works, "date"), column(works, "artist")).values():
        assert int(max(years)) - int(min(years)) < 60


def test_every_file_is_a_whole_rgb_jpeg_of_varied_shape(folder: Path, works: Records) -> None:
    sizes = []
    for work in works:
        with Image.open(folder / work["file"]) as image:
            image.load()
            assert (image.format, image.mode) == ("JPEG", "RGB")
            sizes.append(image.size)
    width, height = np.array(sizes).T
    assert len(set(sizes)) > len(works) // 2
    assert 290 <= np.maximum(width, height).min() <= np.maximum(width, height).max() <= 401
    assert 0.55 < (width / height).min() < 0.8 < 1.3 < (width / height).max() < 1.75


def test_no_two_paintings_are_nearly_the_same(pixels: np.ndarray) -> None:
    flat = pixels.reshape(len(pixels), -1)
    distance = (flat**2).sum(1)[:, None] + (flat**2).sum(1) - 2 * flat @ flat.T
    np.fill_diagonal(distance, np.inf)
    assert np.sqrt(distance.min() / flat.shape[1]) > 0.02


def test_a_second_call_draws_nothing(folder: Path, works: Records) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    assert draw_collection(folder) == works
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_deleted_paintings_are_drawn_again_with_the_same_bytes(
    folder: Path, works: Records
) -> None:
    lost = {folder / work["file"]: (folder / work["file"]).read_bytes() for work in works[::25]}
    for path in lost:
        path.unlink()
    draw_collection(folder)
    assert {path: path.read_bytes() for path in lost} == lost


def test_another_seed_draws_other_paintings(
    tmp_path: Path, works: Records, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_first(monkeypatch)
    same, other = draw_collection(tmp_path, seed=0)[0], draw_collection(tmp_path, seed=1)[0]
    assert (tmp_path / same["file"]).read_bytes() == (folder / same["file"]).read_bytes()
    assert (tmp_path / other["file"]).read_bytes() != (tmp_path / same["file"]).read_bytes()
    assert other["image_id"] not in column(works, "image_id")


def test_an_interrupted_draw_leaves_no_incomplete_painting(
    tmp_path: Path, works: Records, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_first(monkeypatch)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        draw_collection(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    file = draw_collection(tmp_path)[0]["file"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / file]
    assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_a_painter_is_recognized_by_color(pixels: np.ndarray, works: Records) -> None:
    bins = (pixels * 3.999).astype(int) @ (16, 4, 1)
    colors = np.stack([np.bincount(image.ravel(), minlength=64) for image in bins]) ** 0.5
    share = nearest_shares_label(colors, column(works, "artist"), column(works, "image_id"))
    assert share > 0.8  # chance: 6 of 251


def test_a_style_is_recognized_across_painters_by_texture(
    pixels: np.ndarray, works: Records
) -> None:
    gray = pixels.mean(3)
    gray = (gray - gray.mean((1, 2), keepdims=True)) / gray.std((1, 2), keepdims=True)
    steps = [np.abs(np.diff(gray[:, ::s, ::s], axis=a)) for s in (1, 2, 4, 8) for a in (1, 2)]
    texture = np.stack([f(step, axis=(1, 2)) for step in steps for f in (np.mean, np.std)], 1)
    texture = (texture - texture.mean(0)) / texture.std(0)
    share = nearest_shares_label(texture, column(works, "style"), column(works, "artist"))
    assert share > 0.4  # chance: 14 of 245
