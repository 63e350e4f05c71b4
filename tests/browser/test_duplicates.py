"""Pairs of almost equal images, the groups that they form, and the page that shows them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest

from src.browser import duplicates
from src.browser.duplicates import captions, groups_of, near_pairs, pairs_data
from src.browser.duplicates_view import duplicates_view, threshold_of
from src.browser.opened import OpenRun
from src.evaluation.hubness import near_duplicates
from src.similarity import Neighbors
from tests.support.open_runs import open_run, random_lists, site_of

N, K = 60, 5
DRAW = np.random.default_rng(0)


def made_run(folder: Path, low: float = 0.85, digits: int = 2, **works: list[str]) -> OpenRun:
    """Return a run with random lists and symmetric scores from low to 1."""
    index = random_lists(DRAW, N, K)
    scores = DRAW.uniform(low, 1, (N, N)).round(digits)
    scores = np.maximum(scores, scores.T)
    index = np.take_along_axis(
        index, np.argsort(-np.take_along_axis(scores, index, 1), axis=1, kind="stable"), 1
    )
    return open_run(folder, index, np.take_along_axis(scores, index, 1), works=works)


def test_pairs_are_those_of_the_metric_and_the_best_come_first(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    found = near_pairs(run)
    pairs, scores = near_duplicates(Neighbors(run.index, run.score, 0), -1)
    assert found.rows.tolist() == pairs.tolist()
    np.testing.assert_allclose(found.scores, scores, atol=1e-4)
    assert found.floor <= found.scores.min() < found.floor + found.step


@pytest.mark.parametrize(("most", "fewest"), [(20, 3), (1, 1), (1000, 1), (100, 100)])
def test_only_the_best_pairs_are_kept_and_all_from_the_floor_on(
    most: int, fewest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made_run(tmp_path, low=0.4, digits=4)
    every = near_pairs(run)
    monkeypatch.setattr(duplicates, "MOST", most)
    monkeypatch.setattr(duplicates, "FEWEST", fewest)
    kept = near_pairs(replace(run))
    alike = np.count_nonzero(every.scores >= 0.9)
    count = min(most, max(fewest, alike))
    assert kept.rows.tolist() == every.rows[:count].tolist()
    assert kept.floor >= kept.scores[-1]
    assert kept.floor < kept.scores[-1] + kept.step


def test_scores_near_one_move_in_small_steps(tmp_path: Path) -> None:
    run = made_run(tmp_path, low=0.99)
    assert near_pairs(run).step == 0.0001
    site = site_of(run)
    assert 'step="0.0001"' in site.render_body(run, duplicates_view(site, run, {}))


def test_groups_are_the_connected_components() -> None:
    for count in (0, 1, 30, 80):
        rows = np.sort(np.argsort(DRAW.random((count, N)), axis=1)[:, :2], axis=1)
        groups = groups_of(rows)
        graph = networkx.Graph(rows.tolist())
        expected = {frozenset(part) for part in networkx.connected_components(graph)}
        assert {frozenset(group.rows) for group in groups} == expected
        assert sorted(pair for group in groups for pair in group.pairs) == list(range(count))
        assert all({*rows[group.pairs].ravel().tolist()} == {*group.rows} for group in groups)
        keys = [(-len(group.rows), group.pairs[0]) for group in groups]
        assert keys == sorted(keys)


def test_the_page_groups_the_pairs_from_its_threshold_on(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    pairs = near_pairs(run)
    for threshold in (0.9, 0.95, 0.97, 0.99, 1.0):
        context = duplicates_view(site_of(run), run, {"from": str(threshold)}).context
        kept = pairs.rows[pairs.scores >= threshold]
        assert context["found"] == len(kept)
        assert context["count"] == len(groups_of(kept))
        assert context["images"] == len(np.unique(kept))
        for group in context["groups"]:
            for first, second, score, _ in group.pairs:
                if max(first, second) <= len(group.rows):
                    row, other = group.rows[first - 1], group.rows[second - 1]
                    at = pairs.rows.tolist().index(sorted([row, other]))
                    assert score == pairs.scores[at] >= threshold


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.95", 0.95), ("", 0.98), ("x", 0.98), ("nan", 0.98), ("inf", 0.98), ("7", 1), ("-1", 0.85)],
)
def test_any_threshold_is_one_that_there_is(text: str, expected: float, tmp_path: Path) -> None:
    run = made_run(tmp_path)
    assert threshold_of(run, text) == pytest.approx(expected, abs=0.011)
    given = replace(run, settings={"evaluation.near_duplicate": 0.91})
    assert threshold_of(given, "") == 0.91
    assert threshold_of(replace(run, settings={"evaluation.near_duplicate": "x"}), "") == 0.98


def test_equal_files_and_views_of_one_object_are_marked_and_views_can_be_hidden(
    tmp_path: Path,
) -> None:
    index = np.array([[1], [0], [3], [2], [5], [4]])
    score = np.array([[0.99999994]] * 2 + [[0.99]] * 2 + [[0.985]] * 2)
    works = {"sha256": list("aabcd") + [""], "object_id": ["", "", "7", "7", "", ""]}
    run = open_run(tmp_path, index, score, works=works)
    assert near_pairs(run).kinds.tolist() == [2, 1, 0]
    site = site_of(run)
    shown = duplicates_view(site, run, {"from": "1"})
    assert shown.context["groups"][0].pairs == [(1, 2, 1.0, "same file")]
    html = site.render_body(run, duplicates_view(site, run, {}))
    assert "<b>same file</b>" in html and "<b>other views of one object</b>" in html
    hidden = duplicates_view(site, run, {"objects": "hide"})
    assert [group.rows for group in hidden.context["groups"]] == [[0, 1], [4, 5]]
    assert 'value="hide" checked' in site.render_body(run, hidden)


def test_a_score_without_pairs_says_what_the_best_is(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    low = replace(run, score=run.score - 0.3)
    site = site_of(low)
    html = site.render_body(low, duplicates_view(site, low, {}))
    best = near_pairs(low).scores[0]
    assert f"No pair scores as much: the best scores {best:.4f}." in html
    assert "0 pairs join 0 images in 0 groups." in html


def test_a_large_group_is_cut_and_says_so(tmp_path: Path) -> None:
    ring = open_run(tmp_path, (np.arange(N)[:, None] + [1, 2]) % N, np.full((N, 2), 0.99))
    site = site_of(ring)
    html = site.render_body(ring, duplicates_view(site, ring, {}))
    assert "60 images</h2>" in html and html.count('class="card"') == 24
    assert "and 80 more pairs; 36 more images are in the CSV" in html


def unpacked(data: dict[str, Any]) -> list[tuple[int, int, float, int]]:
    """Return the pairs of the script's data as rows, score and kind."""
    rows, flat = data["rows"], np.reshape(data["pairs"], (-1, 4)).tolist()
    return [(rows[a], rows[b], score / 10_000, kind) for a, b, score, kind in flat]


def test_the_data_of_the_script_are_the_pairs_with_their_captions(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    pairs, data = near_pairs(run), pairs_data(site_of(run), run, 0)
    expected = zip(pairs.rows.tolist(), pairs.scores.tolist(), pairs.kinds.tolist(), strict=True)
    assert unpacked(data) == [(*rows, score, kind) for rows, score, kind in expected]
    assert [caption[-1] for caption in captions(site_of(run), run, 0)] == [
        f"{row}.png" for row in data["rows"]
    ]
    assert data["rows"][:2] == pairs.rows[0].tolist()


def test_a_copy_of_some_images_has_pairs_of_these_alone(tmp_path: Path) -> None:
    run = replace(made_run(tmp_path), written=np.arange(N) < 20)
    assert near_pairs(run).rows.max() < 20
    none = replace(run, written=np.arange(N) < 1)
    site = site_of(none)
    html = site.render_body(none, duplicates_view(site, none, {}))
    assert "The 0 best pairs" in html and "No pair scores as much." in html
    assert pairs_data(site, none, 0) == {"rows": [], "pairs": []}
