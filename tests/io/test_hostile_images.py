"""Hostile and odd files: each is embedded as its picture or skipped with a reason."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from src.io.images import Unreadable, check_complete, load_rgb
from tests.support.embedding import reference_row
from tests.support.hostile_files import KINDS, LATER
from tests.support.hostile_runs import MARKS, MAX_PIXELS, Outcome, embed_files, read_in_new_process
from tests.support.image_files import noise, turned

pytestmark = MARKS


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Return the result of embedding all hostile files, once for this file."""
    folder = tmp_path_factory.mktemp("hostile")
    images = folder / "images"
    images.mkdir()
    expected = {name: make(images / name, noise(name)) for name, make in KINDS.items()}
    (images / "link to a folder.jpg").symlink_to("directory.jpg")  # not followed
    for name in LATER:
        noise("before").save(images / name)
    result = embed_files(images, folder / "outputs", LATER)
    result.expected.update(expected)
    return result


@pytest.mark.parametrize("name", [*KINDS, *LATER])
def test_each_file_is_embedded_or_skipped_with_a_reason(outcome: Outcome, name: str) -> None:
    expected = outcome.expected[name]
    if isinstance(expected, str):
        assert re.search(expected, outcome.skipped[name])
        return
    assert name not in outcome.skipped
    row = outcome.embeddings.gallery.files.index(name)
    np.testing.assert_allclose(
        outcome.embeddings.features[row], reference_row(expected, 224), rtol=1e-5, atol=1e-5
    )
    if name in KINDS:
        work = outcome.embeddings.gallery.works.iloc[row]
        assert (work["width"], work["height"]) == tuple(map(str, expected.size))


def test_every_file_is_a_row_or_a_line_and_the_order_stays(outcome: Outcome) -> None:
    assert outcome.gallery.files == sorted([*KINDS, *LATER])
    rows = [file for file in outcome.gallery.files if file not in outcome.skipped]
    assert len(rows) + len(outcome.skipped) == len(outcome.gallery)
    assert outcome.embeddings.gallery.files == rows
    assert np.load(outcome.embeddings.folder / "image_names.npy").tolist() == rows
    assert np.load(outcome.embeddings.folder / "features.npy").shape == (len(rows), 64)


def test_a_plain_run_warns_of_nothing_and_takes_little_memory(outcome: Outcome) -> None:
    files = [outcome.gallery.root / file for file in outcome.gallery.files]
    assert (
        read_in_new_process(files, MAX_PIXELS)[-1] < 2e8
    )  # the bomb alone would take twice as much


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to drop privileges; else see test_images.py")
def test_a_file_without_permission_is_skipped_even_where_root_runs_the_tests() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        noise("a").save(path)
        path.chmod(0)
        os.chmod(folder, 0o755)
        os.seteuid(65_534)
        try:
            with pytest.raises(Unreadable, match="PermissionError: .*: 'a.png'"):
                load_rgb(path, MAX_PIXELS)
        finally:
            os.seteuid(0)


def test_a_file_may_be_truncated_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"  # Pillow would map it into memory, and die there of SIGBUS
    noise("a").convert("L").resize((400, 300)).save(path)
    shorten = "images._orientation = lambda image: os.truncate(sys.argv[1], 500)"
    read = "images.load_rgb(Path(sys.argv[1]), 10**6)"
    start = "import os, sys; from pathlib import Path; from src.io import images"
    command = [sys.executable, "-c", f"{start}; {shorten}; {read}", str(path)]
    assert subprocess.run(command, timeout=300).returncode == 0
    assert path.stat().st_size == 500


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_size_of_a_fetched_tiff_is_that_of_the_upright_picture(
    tmp_path: Path, orientation: int
) -> None:
    upright = turned("TIFF", orientation)(tmp_path / "a.tif", noise("a"))
    assert check_complete((tmp_path / "a.tif").read_bytes(), MAX_PIXELS) == upright.size
