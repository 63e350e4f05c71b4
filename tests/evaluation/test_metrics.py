"""The table of metrics: complete, unambiguous, and listed in the README."""

import json
import re
from pathlib import Path

import pytest

from src.evaluation import metrics
from src.evaluation.metric_table import METRICS, SUFFIXES
from src.evaluation.metrics import (
    HEADLINE_METRICS,
    depends_on,
    describe_metric,
    find_metric,
    lower_is_better,
)
from src.reporting.summary import LABEL_METRICS
from tests.support.ranked_run import write_ranked_run

README = Path(metrics.__file__).with_name("README.md")


def test_every_metric_of_a_finished_run_is_in_the_table(finished_run: Path) -> None:
    names = json.loads((finished_run / "metrics.json").read_text())
    assert len(names) > 50
    assert [name for name in names if find_metric(name) is None] == []


def test_every_metric_that_is_shown_is_in_the_table() -> None:
    names = [*HEADLINE_METRICS, *(f"artist/{name}" for name in LABEL_METRICS.values())]
    assert [name for name in names if find_metric(name) is None] == []


def test_the_readme_has_a_row_for_every_metric() -> None:
    rows = re.findall(r"^\| `(.+?)` \| (.*) \| (.*) \| (.*) \|$", README.read_text(), re.MULTILINE)
    listed = {pattern: row for pattern, *row in rows}
    table = {m.pattern: [m.unit, m.better, m.description] for m in METRICS}
    suffixes = {f"<metric>{end}": text for end, text in SUFFIXES.items()}
    assert {name: row for name, row in listed.items() if name not in suffixes} == table
    assert {name: listed.get(name, [""])[-1] for name in suffixes} == suffixes


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("intra", "intra"),
        ("intra_at_1_low", "intra_at_1"),
        ("style-no_same_artist/map_at_10_macro", "<label>/map_at_10"),
        ("object/recall_at_k", "object/recall_at_k"),
        ("seconds/rank", "seconds/<stage>"),
        ("a/b/queries", "<label>/queries"),
    ],
)
def test_a_name_is_found_by_its_pattern_and_without_its_suffix(name: str, pattern: str) -> None:
    result = find_metric(name)
    assert result is not None and result.pattern == pattern


@pytest.mark.parametrize("name", ["", "intr", "intra/", "/map_at_10", "map_at_10", "seconds/"])
def test_other_names_are_not_in_the_table(name: str) -> None:
    assert find_metric(name) is None
    assert not lower_is_better(name)
    assert describe_metric(name) == ""


def test_a_description_names_the_suffix() -> None:
    plain, low = describe_metric("artist/map_at_10"), describe_metric("artist/map_at_10_low")
    assert low == f"{plain}: {SUFFIXES['_low']}"
    macro = describe_metric("artist/map_at_10_macro_low")
    assert macro == f"{plain}: {SUFFIXES['_macro_low']}"


def test_the_metrics_that_depend_on_top_k_are_those_that_change_with_it(tmp_path: Path) -> None:
    few, many = (
        json.loads((write_ranked_run(tmp_path, job=f"{k}", top_k=k) / "metrics.json").read_text())
        for k in (6, 11)
    )
    changed = {name for name in few.keys() & many.keys() if few[name] != many[name]}
    marked = {name for name in changed if "similarity.top_k" in depends_on(name)}
    assert changed == marked
    assert {"intra", "auc_low", "hubness", "reciprocity", "object/recall_at_k"} <= marked


def test_what_a_filter_leaves_depends_on_the_depth() -> None:
    assert "evaluation.depth" in depends_on("style-no_same_artist/map_at_10_low")
    assert "evaluation.depth" in depends_on("a/fewer_than_10")
    assert "evaluation.depth" not in depends_on("style-no_same_artist/queries")
    assert depends_on("unknown") == ()


def test_what_a_hit_is_depends_on_the_settings_of_labels() -> None:
    labels, artists = "evaluation.multilabel", "evaluation.unknown_artists"
    assert depends_on("a/queries") == depends_on("a/map_low") == (labels,)
    assert depends_on("style-no_same_artist/queries") == (labels, artists)
    assert depends_on("style-no_same_object/queries") == (labels,)
    assert depends_on("object/recall_at_1") == depends_on("seconds/rank") == ()
