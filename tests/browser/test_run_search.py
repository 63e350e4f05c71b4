"""The search of a run gives the run's own neighbors, to the bit, and says what is gone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.browser.opened import OpenRun, open_runs
from src.browser.run_search import exclusion_groups, others, run_search
from src.errors import UserError
from tests.support.ranked_run import clustered, works_of, write_ranked_run

SIMILARITIES = [
    {},
    {"postprocess": "center"},
    {"postprocess": "whiten"},
    {"ranking": "csls"},
    {"postprocess": "whiten", "ranking": "csls", "exclude": "same_object"},
    {"augment": 4},
    {"augment": 4, "postprocess": "whiten", "ranking": "csls", "exclude": "same_object"},
]
PLAIN, AUGMENTED = SIMILARITIES[:3], SIMILARITIES[-2:]


def opened(outputs: Path, **similarity: str) -> OpenRun:
    return open_runs([write_ranked_run(outputs, **similarity)])[0]


@pytest.mark.parametrize("similarity", SIMILARITIES, ids=str)
def test_each_image_has_the_neighbors_of_the_run(similarity, tmp_path):
    run = opened(tmp_path, **similarity)
    allowed = np.stack([others(run, row) for row in range(len(run))])
    index, score = run_search(run).nearest_to_rows(range(len(run)), run.index.shape[1], allowed)
    np.testing.assert_array_equal(index, run.index)
    np.testing.assert_array_equal(score, run.score)


@pytest.mark.parametrize("similarity", PLAIN + AUGMENTED, ids=str)
def test_the_features_of_an_image_find_it_first(similarity, tmp_path):
    search = run_search(opened(tmp_path, **similarity))
    index, score = search.nearest(torch.from_numpy(clustered()[[7]]), 3)
    assert (index[0, 0], score[0, 0]) == (7, 1)


def test_a_run_is_opened_once(tmp_path):
    run = opened(tmp_path)
    assert run_search(run) is run_search(run)


def test_views_of_an_object_are_one_group_where_the_run_says_so(tmp_path):
    run = opened(tmp_path, exclude="same_object")
    assert exclusion_groups(run)[:4].tolist() == [0, 0, 0, 1]
    assert np.flatnonzero(~others(run, 4)).tolist() == [3, 4, 5]


def test_copies_are_one_group_where_the_run_says_so(tmp_path):
    files = [f"{row // 20}" if row < 40 else "" for row in range(60)]
    works = works_of(sha256=files)
    run = open_runs([write_ranked_run(tmp_path, works, exclude="same_image")])[0]
    assert np.flatnonzero(~others(run, 25)).tolist() == list(range(20, 40))
    assert np.flatnonzero(~others(run, 45)).tolist() == [45]
    assert not (exclusion_groups(run)[run.index] == exclusion_groups(run)[:, None]).any()
    allowed = np.stack([others(run, row) for row in range(60)])
    index, score = run_search(run).nearest_to_rows(range(60), 10, allowed)
    np.testing.assert_array_equal(index, run.index)
    np.testing.assert_array_equal(score, run.score)


def test_features_that_are_gone_are_named(tmp_path):
    run = opened(tmp_path)
    path = next(tmp_path.glob("embeddings/**/features.npy"))
    path.unlink()
    with pytest.raises(UserError, match=r"features are gone, .*features\.npy: the command of"):
        run_search(run)


def test_features_of_another_width_are_refused(tmp_path):
    run = opened(tmp_path, postprocess="center")
    np.save(next(tmp_path.glob("embeddings/**/features.npy")), clustered()[:, :5])
    with pytest.raises(UserError, match=r"postprocess\.npz does not fit the features"):
        run_search(run)


def test_features_that_are_no_numbers_are_refused(tmp_path):
    run = opened(tmp_path)
    np.save(next(tmp_path.glob("embeddings/**/features.npy")), clustered() * np.nan)
    with pytest.raises(UserError, match="cannot be compared: row 0 holds NaN"):
        run_search(run)


def test_a_run_by_csls_of_an_earlier_version_says_how_to_mend_it(tmp_path):
    run = opened(tmp_path, ranking="csls")
    (run.files.path / "penalty.npy").unlink()
    with pytest.raises(UserError, match=r"penalty\.npy is not there, as in runs of earlier"):
        run_search(run)


def test_a_run_that_has_lost_what_it_added_says_how_to_mend_it(tmp_path):
    run = opened(tmp_path, augment=3)
    (run.files.path / "augment.npz").unlink()
    with pytest.raises(UserError, match=r"augmented rows are gone, .*augment\.npz: the command of"):
        run_search(run)


@pytest.mark.parametrize("penalty", [np.zeros(3), np.zeros(60, "f4"), np.full(60, np.nan)])
def test_a_damaged_penalty_is_refused(penalty, tmp_path):
    run = opened(tmp_path, ranking="csls")
    np.save(run.files.path / "penalty.npy", penalty)
    with pytest.raises(UserError, match=r"penalty\.npy.*not a number for each of 60 images"):
        run_search(run)
