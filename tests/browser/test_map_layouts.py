"""The layouts of a run: computed once, kept in its folder, begun anew where a file is damaged."""

import logging
import shutil
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from src.browser import layouts
from src.browser.layouts import Layouts
from src.errors import UserError
from src.reporting.compared import principal_components
from src.reporting.comparison_files import ComparisonFiles
from src.reporting.run_folder import RunFolder


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> RunFolder:
    """Return a copy of a run of 12 images without a map, whose features are where they were."""
    copy = RunFolder(tmp_path / "a" / "b" / "run")
    shutil.copytree(finished_run, copy.path, ignore=shutil.ignore_patterns("map-*"))
    paths = {
        name: finished_run / path
        for name, path in RunFolder(finished_run).paths().items()
        if name in ("gallery", "embeddings")
    }
    copy.write_paths(paths["gallery"], paths["embeddings"], None, "0", {})
    return copy


@pytest.fixture
def layout(run: RunFolder) -> Layouts:
    """Return the layouts of the copy."""
    return Layouts(run, 12)


def test_components_are_computed_once_and_kept(
    run: RunFolder, layout: Layouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert layout.find("pca") is None
    points = layout.pca()
    np.testing.assert_array_equal(points, principal_components(run.compared(), 2))
    np.testing.assert_array_equal(run.layout("pca", 12), points)
    monkeypatch.delattr(layouts, "principal_components")  # from here on nothing may compute
    assert layout.pca() is points
    np.testing.assert_array_equal(Layouts(run, 12).pca(), points)


def test_pages_that_ask_at_once_wait_for_one_computation(
    layout: Layouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, compute = list[int](), layouts.principal_components

    def counted(*arguments: object) -> np.ndarray:
        """Count a computation."""
        calls.append(1)
        return compute(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(layouts, "principal_components", counted)
    threads = [Thread(target=layout.pca) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_is_computed_again(
    run: RunFolder, layout: Layouts, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (run.path / "map-pca.npy").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        points = layout.pca()
    assert "map-pca.npy is damaged" in caplog.text
    assert "it is computed again" in caplog.text
    np.testing.assert_array_equal(run.layout("pca", 12), points)


def test_a_layout_of_other_images_is_computed_again(run: RunFolder, layout: Layouts) -> None:
    run.write_layout("pca", np.zeros((5, 2), np.float32))
    assert layout.pca().shape == (12, 2)


def test_a_folder_that_cannot_be_written_keeps_the_layout_in_memory(
    run: RunFolder,
    layout: Layouts,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*arguments: object) -> None:
        """Raise what a disk without space raises."""
        raise OSError("the disk is full")

    monkeypatch.setattr(RunFolder, "write_layout", refuse)
    points = layout.pca()
    assert "the disk is full" in caplog.text
    assert layout.pca() is points


def test_a_run_without_features_says_so(run: RunFolder, layout: Layouts, tmp_path: Path) -> None:
    gallery = run.path / run.paths()["gallery"]
    run.write_paths(gallery, tmp_path / "gone", None, "0", {})
    assert "features.npy" in layout.obstacle()
    assert layout.ready() == []
    with pytest.raises((UserError, OSError)):
        layout.pca()
    run.write_layout("pca", np.zeros((12, 2), np.float32))
    assert layout.obstacle() == ""
    assert layout.ready() == ["pca"]


def test_umap_is_begun_once_in_the_background(
    run: RunFolder, layout: Layouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[Path]()

    def compute(folder: Path) -> np.ndarray:
        """Return a layout in place of that of umap-learn."""
        calls.append(folder)
        return np.ones((12, 2), np.float32)

    monkeypatch.setattr(layouts, "umap_in_process", compute)
    monkeypatch.setattr(layouts, "Thread", Immediate)
    assert "umap" not in layout.ready()
    assert layout.begin_umap() >= 1
    layout.begin_umap()
    assert calls == [run.path]
    assert layout.ready() == ["pca", "umap"]
    np.testing.assert_array_equal(run.layout("umap", 12), np.ones((12, 2)))


@pytest.mark.parametrize(
    ("error", "failure", "is_bug"),
    [
        (UserError("its process ended with code -9"), "its process ended with code -9", False),
        (OSError(24, "Too many open files"), "[Errno 24] Too many open files", False),
        (RuntimeError("a bug"), "a bug", True),
        (MemoryError(), "MemoryError", True),
    ],
)
def test_a_failure_of_umap_is_kept(
    layout: Layouts,
    error: Exception,
    failure: str,
    is_bug: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(folder: Path) -> np.ndarray:
        """Raise the error."""
        raise error

    monkeypatch.setattr(layouts, "umap_in_process", fail)
    monkeypatch.setattr(layouts, "Thread", Immediate)
    layout.begin_umap()
    assert layout.failure == failure
    assert ("Traceback" in caplog.text) == is_bug
    assert layout.ready() == ["pca"]


def test_pages_that_wait_for_umap_read_no_neighbors(
    layout: Layouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.pca()
    monkeypatch.delattr(ComparisonFiles, "neighbors")
    layout._started = time.monotonic()
    assert layout.begin_umap() == 12
    assert layout.ready() == ["pca"]


class Immediate(Thread):
    """A thread that is finished when start returns."""

    def start(self) -> None:
        """Run to the end."""
        super().start()
        self.join()
