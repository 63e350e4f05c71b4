"""data=features: what a finished run has compared, given back, is compared to the same bits."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.config import Similarity
from src.config.enums import Exclude, Postprocess, RankedBy, Storage
from src.embedding import own_vectors
from src.embedding.row_files import read_options
from src.errors import UserError
from src.reporting.run_folder import RunFolder
from tests.support.options import changed
from tests.support.own_vectors import own, saved
from tests.support.ranked_run import clustered, write_ranked_run
from tests.test_run import outcome, results

# What says where the rows come from
ORIGINS = ("weights", "vectors", "precision", "processes", "skipped", "missing")


def assert_equal_neighbors(one: RunFolder, other: RunFolder) -> None:
    """Fail unless two runs have the same neighbors with the same scores, to the bit."""
    for mine, theirs in zip(one.neighbors(), other.neighbors(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    "similarity",
    [
        {},
        {"postprocess": "center"},
        {"postprocess": "whiten", "whiten_dim": 5},
        {"ranking": "csls"},
        {"postprocess": "whiten", "ranking": "csls", "augment": 3, "exclude": "same_object"},
    ],
    ids=str,
)
def test_the_rows_and_labels_of_a_run_given_back_end_in_the_same_bits(
    tmp_path: Path, similarity: dict[str, Any]
) -> None:
    folder = write_ranked_run(tmp_path / "outputs", **similarity)
    earlier = RunFolder(folder)
    paths = earlier.paths()
    features, labels = folder / paths["embeddings"] / "features.npy", folder / paths["gallery"]
    kinds = {"postprocess": Postprocess, "ranking": RankedBy, "exclude": Exclude}
    options = {name: kinds[name][v] if name in kinds else v for name, v in similarity.items()}
    cfg = own(tmp_path / "again", features, labels / "works.csv")
    again = outcome(replace(cfg, similarity=Similarity(**options)), tmp_path / "run")
    for mine, theirs in zip(
        RunFolder(tmp_path / "run").neighbors(), earlier.neighbors(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    expected = {k: v for k, v in results(earlier.metrics() or {}).items() if k not in ORIGINS}
    assert len(expected) > 200  # among them the intervals of artist and style
    assert {"artist/map", "artist/map_at_10_low", "style-no_same_artist/r_precision"} <= {*expected}
    assert expected == {name: again.get(name) for name in expected}
    assert RunFolder(tmp_path / "run").label_hashes() == earlier.label_hashes()
    with np.load(folder / "queries.npz") as one, np.load(tmp_path / "run" / "queries.npz") as two:
        assert {*one} == {*two}
        assert all(np.array_equal(one[name], two[name], equal_nan=True) for name in one)


def test_the_matrix_of_own_vectors_leads_to_the_same_neighbors(
    tmp_path: Path, vectors: Path
) -> None:
    for storage in Storage:
        cfg = replace(own(tmp_path / "outputs", vectors), similarity=Similarity(storage))
        outcome(cfg, tmp_path / storage.name)
    topk, full = RunFolder(tmp_path / "topk"), RunFolder(tmp_path / "full")
    assert_equal_neighbors(topk, full)
    matrix = np.load(tmp_path / "full" / full.paths()["matrix"])
    index, score = full.neighbors()
    np.testing.assert_array_equal(np.take_along_axis(matrix, index, 1), score)


def test_a_run_says_that_its_vectors_are_the_users_own(tmp_path: Path, vectors: Path) -> None:
    metrics = outcome(own(tmp_path / "outputs", vectors), tmp_path / "run")
    assert metrics["weights"] == "own vectors"
    assert metrics["vectors"] == own_vectors.sha256(vectors)
    assert "precision" not in metrics
    assert not [name for name in metrics if name.endswith("/map_at_10")]  # without labels
    folder = tmp_path / "run" / RunFolder(tmp_path / "run").paths()["embeddings"]
    assert read_options(folder)["backbone"] == "vectors"
    assert folder.parent.name.startswith("vectors-")


def test_whitening_of_an_earlier_run_suits_vectors_of_its_width(
    tmp_path: Path, vectors: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    cfg = own(tmp_path / "outputs", vectors)
    whiten = changed(cfg, "similarity", postprocess=Postprocess.whiten)
    outcome(whiten, tmp_path / "run")
    again = changed(whiten, "similarity", whiten_from=str(tmp_path / "run"))
    outcome(again, tmp_path / "again")
    assert "only the features' width tells" in caplog.text
    for mine, theirs in zip(
        RunFolder(tmp_path / "again").neighbors(),
        RunFolder(tmp_path / "run").neighbors(),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)
    narrow = changed(again, "data", features=str(saved(tmp_path, clustered(d=12), "narrow.npy")))
    with pytest.raises(UserError, match="was fitted on features of 24 numbers, but these have 12"):
        outcome(narrow, tmp_path / "narrow")
