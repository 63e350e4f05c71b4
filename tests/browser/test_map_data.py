"""What the map's scripts get: whole numbers as base64."""

import base64
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.browser.data import DATA, data_chunk
from src.browser.map_data import NO_VALUE, REST, by_frequency, label_codes, packed, quantized
from src.browser.opened import OpenRun, open_runs
from src.browser.site import NotThere, Site
from src.reporting.run_folder import RunFolder


def unpacked(text: str, kind: str) -> np.ndarray:
    """Return the numbers that a script reads."""
    return np.frombuffer(base64.b64decode(text), kind)


@pytest.fixture
def run(site: Site) -> OpenRun:
    """Return a run of 12 images in 3 folders."""
    return site.runs[0]


def test_positions_fill_a_square_in_one_scale() -> None:
    steps = quantized(np.array([[-1, 5], [3, 6], [1, 5.5]], np.float32))
    assert steps.dtype == np.uint16
    np.testing.assert_array_equal(steps[:, 0], [0, 65535, 32768])
    np.testing.assert_allclose(steps[:, 1], [24576, 40959, 32768], atol=1)


@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_positions_lose_less_than_a_step(scale: float) -> None:
    positions = (np.random.default_rng(0).standard_normal((500, 2)) * scale).astype(np.float32)
    steps = quantized(positions).astype(float)
    extent = np.ptp(positions.astype(float), axis=0)
    wanted = (positions - positions.mean(axis=0)) / extent.max() * 65535
    np.testing.assert_allclose(steps - steps.mean(axis=0), wanted, atol=1)


def test_equal_positions_lie_in_the_middle() -> None:
    steps = quantized(np.full((3, 2), 7, np.float32))
    np.testing.assert_allclose(steps, 32768, atol=1)


def test_numbers_are_written_lowest_byte_first() -> None:
    assert base64.b64decode(packed(np.array([1, 258], ">u2"))) == b"\x01\x00\x02\x01"


def test_frequent_values_come_first_and_none_is_none() -> None:
    codes = np.array([2, 0, 2, -1, 1, 2, 0])
    names, counts, ranks = by_frequency(["b", "a", "c", "unused"], codes)
    assert (names, counts) == (["c", "b", "a"], [3, 2, 1])
    np.testing.assert_array_equal(ranks, [0, 1, 0, NO_VALUE, 2, 0, 1])


def test_values_beyond_the_most_share_a_code() -> None:
    names, counts, ranks = by_frequency(list("abcd"), np.array([0, 0, 1, 2, 3, -1]), most=3)
    assert (names, counts) == (["a", "b", REST], [2, 1, 2])
    np.testing.assert_array_equal(ranks, [0, 0, 1, 2, 2, NO_VALUE])


def test_points_and_labels_are_of_all_images(site: Site, run: OpenRun) -> None:
    points = DATA["map-pca"].make(site, run, 0)
    assert set(points) == {"positions"}
    steps = unpacked(points["positions"], "<u2").reshape(-1, 2)
    np.testing.assert_array_equal(steps, quantized(run.layouts.pca()))
    label = label_codes(site, run, list(run.labels).index("folder"))
    assert label["column"] == "folder"
    codes = unpacked(label["codes"], "<u2")
    assert [label["values"][code] for code in codes] == list(run.gallery.works["folder"])
    assert label["counts"] == [4, 4, 4]


def test_an_export_of_a_sample_has_points_of_the_sample(site: Site, run: OpenRun) -> None:
    written = np.arange(12) % 5 == 1
    part = replace(run, written=written)
    points = DATA["map-pca"].make(site, part, 0)
    np.testing.assert_array_equal(unpacked(points["rows"], "<u4"), [1, 6, 11])
    assert len(unpacked(points["positions"], "<u2")) == 6
    label = label_codes(site, part, list(run.labels).index("folder"))
    assert label["counts"] == [1, 1, 1]
    assert len(unpacked(label["codes"], "<u2")) == 3


def test_a_layout_that_is_not_there_is_no_data(site: Site, run: OpenRun) -> None:
    assert DATA["map-umap"].count(run) == 0
    with pytest.raises(NotThere, match="map-umap/0"):
        data_chunk(site, run, "map-umap", 0)
    with pytest.raises(NotThere, match=r"not computed yet: open map.html\?layout=umap"):
        DATA["map-umap"].make(site, run, 0)


def test_a_run_without_features_has_no_points(two_runs: list[Path], tmp_path: Path) -> None:
    folder = shutil.copytree(two_runs[0], tmp_path / "a" / "b" / "c" / "d" / "run")
    (run,) = open_runs(two_runs[:1])
    assert DATA["map-pca"].count(run) == 1
    (folder / "map-pca.npy").unlink(missing_ok=True)
    moved = replace(run, files=RunFolder(folder))  # from there, its features are not found
    assert DATA["map-pca"].count(moved) == 0
