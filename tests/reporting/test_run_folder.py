"""A run in a notebook: from any folder, as pandas and numpy."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from src.errors import UserError
from src.reporting.run_folder import RunFolder
from tests.support.commands import ROOT

SNIPPET = """
from src.reporting.run_folder import RunFolder

run = RunFolder({folder!r})
works, pairs = run.works(), run.pairs()  # pandas: a row for each image, for each neighbor
index, score = run.neighbors()  # numpy: (n, k), best first
print(run.gallery().caption(0), "is like", run.gallery().caption(index[0, 0]))
print(run.metrics()["folder/map_at_10"], run.features().shape)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that makes src importable as pip install -e . does."""
    folder, build = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("build")
    make = "from setuptools.build_meta import build_editable; import sys"
    words = [sys.executable, "-W", "ignore", "-c", f"{make}; build_editable(sys.argv[1])"]
    (build / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    for name in ("src", "README.md", "LICENSE"):  # a copy of the checkout, which stays as it is
        (build / name).symlink_to(ROOT / name)
    subprocess.run([*words, str(folder)], cwd=build, capture_output=True, check=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_the_snippet_runs_from_any_folder(
    finished_run: Path, installed: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = f"import site; site.addsitedir({str(installed)!r})\n"
    code += SNIPPET.format(folder=os.path.relpath(finished_run, elsewhere))
    words = [sys.executable, "-I", "-X", "utf8", "-c", code]
    result = subprocess.run(words, cwd=elsewhere, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    nearest = np.load(finished_run / "top_3_similar.npy")["name"][0, 0]
    assert result.stdout.startswith(f"ada/0.png is like {nearest}\n")
    assert result.stdout.endswith("(12, 64)\n")


def test_a_run_is_found_by_text_and_from_another_folder(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = RunFolder(os.path.relpath(finished_run))
    works, (index, score) = run.works(), run.neighbors()
    assert works["file"].tolist()[:2] == ["ada/0.png", "ada/1.png"]
    features = run.features()
    assert isinstance(features, np.memmap) and not features.flags.writeable
    cosines = cosine_similarity(features)
    assert score == pytest.approx(np.take_along_axis(cosines, index, 1), abs=1e-6)
    monkeypatch.setenv("HOME", str(finished_run.parent))
    assert RunFolder(f"~/{finished_run.name}").metrics() == run.metrics()


def test_pairs_are_those_of_the_csv_file(finished_run: Path) -> None:
    pairs = RunFolder(finished_run).pairs()
    table = pd.read_csv(finished_run / "neighbors.csv")
    assert list(pairs) == list(table) and len(pairs) == 36
    for column in table:
        if column == "score":
            assert pairs[column].to_numpy() == pytest.approx(table[column].to_numpy(), abs=1e-6)
        else:
            assert pairs[column].astype(str).tolist() == table[column].astype(str).tolist()


def test_features_of_other_images_are_damaged(finished_run: Path, tmp_path: Path) -> None:
    (tmp_path / "neighbors.npz").write_bytes((finished_run / "neighbors.npz").read_bytes())
    (tmp_path / "paths.yaml").write_text("gallery: none\nembeddings: .\n")
    for array in (np.zeros((11, 4), "f4"), np.zeros(12, "f4")):
        np.save(tmp_path / "features.npy", array)
        with pytest.raises(UserError, match="features.npy is damaged.*not one row for each image"):
            RunFolder(tmp_path).features()
    (tmp_path / "features.npy").write_bytes(b"none")
    with pytest.raises(UserError, match="features.npy is damaged"):
        RunFolder(tmp_path).features()


@pytest.mark.parametrize(
    ("folder", "file"), [("gallery", "gallery.yaml"), ("embeddings", "image_names.npy")]
)
def test_a_gallery_that_was_deleted_is_told_with_the_way_back(
    finished_run: Path, tmp_path: Path, folder: str, file: str
) -> None:
    outputs = tmp_path / "outputs"
    shutil.copytree(finished_run.parents[2], outputs)
    run = RunFolder(outputs / finished_run.relative_to(finished_run.parents[2]))
    shutil.rmtree(run.path / run.paths()[folder])
    with pytest.raises(UserError, match="given again, brings them back") as told:
        run.gallery()
    assert f"/{file}: " in str(told.value) and "/../" not in str(told.value)
