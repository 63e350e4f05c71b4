"""The open runs as boards, and the metrics of one run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from src.browser.opened import OpenRun, open_runs
from src.browser.runs_view import JUDGEMENTS, OTHERS, runs_view, sections, tables
from src.browser.site import Site
from src.leaderboard.comparison import compare
from src.leaderboard.html import heads, table_rows
from src.leaderboard.notes import notes
from src.leaderboard.runs import read_run
from tests.support.open_runs import open_run, site_of

METRICS: dict[str, Any] = {
    "intra": 0.5,
    "images": 12,
    "device": "<evil>",
    "artist/queries": 12,
    "artist/map_at_10": 0.25,
    "artist/map_at_10_low": 0.2,
    "artist/map_at_10_high": 0.3,
    "artist/map_at_10_chance": 0.125,
    "artist/map_at_10_macro": 0.26,
    "artist/map_at_10_macro_low": 0.22,
    "artist/map_at_10_macro_high": 0.31,
    "artist/map_at_10_macro_chance": 0.0625,
    "style-no_same_artist/precision_at_1_macro": 0.5,
    "style-no_same_artist/precision_at_1": 0.75,
    "object/recall_at_1": 0.5,
    "judged/pairs": 3,
    "judged/agreement": 0.5,
    "judged/agreement_chance": 0.5,
    "seconds/embed": 3.0,
    "unknown": None,
    "odd_low": 1,
}


def test_sections_are_the_boards_of_the_leaderboard(site: Site) -> None:
    (section,) = sections(tuple(site.runs))
    (board,) = compare([read_run(run.files.path) for run in site.runs], None).boards
    by_folder = {run.files.path: run for run in site.runs}
    order = [by_folder[run.folder] for run in board.runs]
    assert section.numbers == [run.number for run in order]
    assert section.heads == heads(board) and section.notes == notes(board)
    for line, run, expected in zip(section.lines, order, table_rows(board, ["", ""]), strict=True):
        assert (line[0].text, line[0].link) == (run.name, f"../{run.number}/gallery.html")
        assert line[1:] == expected[1:]


def test_the_page_marks_its_own_run(client: TestClient) -> None:
    for run in (0, 1):
        html = client.get(f"/{run}/runs.html").text
        assert html.count('<tr class="own">') == 1
        _, _, own = html.partition('<tr class="own">')
        assert own.partition("</tr>")[0].count(f'href="../{run}/gallery.html" aria-current') == 1
        assert "folder/map_at_10" in html and "behind the best" in html


def test_a_single_run_has_its_metrics_and_no_board(two_runs: list[Path]) -> None:
    (run,) = open_runs(two_runs[:1])
    site = site_of(run)
    html = site.render_body(run, runs_view(site, run, {}))
    assert "behind the best" not in html
    assert "<h3>folder</h3>" in html and "mean average precision of the first 10" in html
    assert f"python -m src.browse {two_runs[0]} OTHER_RUN" in html


def test_an_export_tells_no_place(site: Site) -> None:
    static = replace(site, is_static=True)
    html = static.render_body(site.runs[0], runs_view(static, site.runs[0], {}))
    assert "python -m src.browse RUN OTHER_RUN" in html
    assert str(site.runs[0].files.path) not in html


def test_metrics_are_by_label_with_interval_chance_and_meaning() -> None:
    found = dict(tables(METRICS))
    assert list(found) == ["artist", "style-no_same_artist", JUDGEMENTS, OTHERS]
    assert [(line.name, line.value) for line in found[JUDGEMENTS]] == [
        *(("pairs", "3"), ("agreement", "0.500")),
    ]
    queries, precision = found["artist"]
    assert queries[:5] == ("queries", "12", "", "", "")
    assert precision[:4] == ("map_at_10", "0.250", "[0.200, 0.300]", "0.125")
    assert precision.over_classes == "0.260 [0.220, 0.310], by chance 0.062"
    assert found["style-no_same_artist"][0].over_classes == "0.500"  # of an earlier version
    assert precision.about.startswith("mean average precision")
    names = {line.name: line.value for line in found[OTHERS]}
    numbers = {"intra": "0.500", "images": "12", "object/recall_at_1": "0.500"}
    numbers |= {"seconds/embed": "3.000", "odd_low": "1"}
    assert names == numbers | {"device": "<evil>", "unknown": "None"}


@pytest.fixture
def run(tmp_path: Path) -> OpenRun:
    """Return a run with METRICS."""
    return replace(open_run(tmp_path, np.array([[1], [0]])), metrics=METRICS)


def test_what_others_wrote_stays_text(run: OpenRun) -> None:
    site = site_of(run)
    html = site.render_body(run, runs_view(site, run, {}))
    assert "&lt;evil&gt;" in html and "<evil>" not in html
