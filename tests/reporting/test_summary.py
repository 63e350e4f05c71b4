"""What a run prints at its end."""

import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from src.gallery import Gallery
from src.reporting import summary
from src.reporting.labels import main_labels
from src.reporting.summary import print_job, print_summary

METRICS: dict[str, Any] = {
    "images": 12,
    "skipped": 1,
    "intra": 0.9,
    "inter": 0.5,
    "gap": 0.4,
    "seconds/embed": 2.0,
    "weights": "IMAGENET1K_V2",
    "artist/queries": 7,
    "artist/classes": 3,
    "artist/empty": 5,
    "artist/singletons": 0,
    "artist/precision_at_1": 0.75,
    "artist/precision_at_1_chance": 0.125,
    "source/queries": 12,
    "source/precision_at_1": 0.987,
    "style/queries": 5,
    "style/classes": 2,
    "style/precision_at_1": 0.5,
    "style/precision_at_10": 0.25,
    "style/map_at_10": 0.375,
    "style/map_at_10_low": 0.3125,
    "style/map_at_10_high": 0.4375,
    "style-no_same_artist/queries": 4,
    "style-no_same_artist/precision_at_1": 0.25,
    "style-no_same_artist/strangers": 3,
    "style/hit_at_10": 0.75,
    "style/recall_at_10": 0.25,
    "style/recall_at_10_bound": 0.5,
}
RANDOM = METRICS | {"weights": "random (seed 0)"}


def gallery(name: str = "folder-1", **labels: list[str]) -> Gallery:
    """Return a gallery with these columns."""
    return Gallery(name, Path("/images"), pd.DataFrame(labels, dtype=object))


def printed(
    capsys: pytest.CaptureFixture[str],
    metrics: dict[str, Any],
    folder: Path,
    others: list[Path] | None = None,
    name: str = "folder-1",
) -> str:
    """Print the summary and return it."""
    print_summary(metrics, gallery(name), folder, others or [], 12.345)
    return capsys.readouterr().out


def test_labels_come_first_and_each_table_says_what_it_is_good_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [" ".join(line.split()) for line in printed(capsys, METRICS, tmp_path).splitlines()]
    expected = [
        "label queries P@1 P@10 chance mAP@10 * 95%",
        "artist 7 0.750 0.125",  # no precision at 10 with fewer neighbors
        "style 5 0.500 0.250 0.375 0.312-0.438",
        "style, other artists 4 0.250",
        "* compare settings by mAP@10, in metrics.json artist/map_at_10",
        "style: hit@10 0.750, recall@10 0.250 of at most 0.500",
        "classes: 3 of artist, 2 of style; intervals that draw few classes are uncertain",
        "artist: left out 5 without artist",
        "style, other artists: 3 images of unknown artist count as other artists",
        "in metrics.json also: source",
        "images skipped intra inter gap seconds",
        "12 1 0.9000 0.5000 0.4000 12.3",  # of the whole run, not the sum of its stages
        summary.ABOUT_SCORES,
    ]
    assert [row for row in rows if row in expected] == expected
    assert "0.987" not in " ".join(rows)
    assert not any(row.startswith("artist: hit@10") for row in rows)  # with fewer neighbors


def test_unknown_artists_that_are_left_out_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = {name: value for name, value in METRICS.items() if not name.endswith("/strangers")}
    text = printed(capsys, left | {"style-no_same_artist/left_out": 4}, tmp_path)
    assert "style, other artists: 4 images of unknown artist left out" in text
    assert "unknown artist" not in printed(capsys, left, tmp_path)


def test_without_labels_it_says_that_quality_is_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = {name: value for name, value in METRICS.items() if "/" not in name}
    words = " ".join(printed(capsys, bare, tmp_path).split())
    assert words.startswith(summary.NO_LABELS)
    assert "mAP" not in words


def test_judgements_have_a_line_and_measure_quality_without_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = {name: value for name, value in METRICS.items() if "/" not in name}
    judged = {"judged/pairs": 1200, "judged/queries": 1, "judged/agreement": 0.625}
    judged |= {"judged/agreement_low": 0.5, "judged/agreement_high": 0.75}
    judged |= {"judged/agreement_chance": 0.5, "judged/precision_at_10": 0.25}
    judged |= {"judged/agreement_queries": 1}
    words = " ".join(printed(capsys, bare | judged, tmp_path).split())
    assert words.startswith(
        "judgements: 1,200 pairs of 1 query, agreement 0.625 [0.500, 0.750] (chance 0.500),"
        " P@10 of those judged 0.250 images"
    )
    assert summary.NO_LABELS not in words
    few = judged | {"judged/queries": 3, "judged/precision_at_10_queries": 2}
    words = " ".join(printed(capsys, bare | few, tmp_path).split())
    assert "(chance 0.500) over 1 query, P@10 of those judged 0.250 over 2 queries" in words
    nothing = {"judged/pairs": 0, "judged/queries": 0}
    words = " ".join(printed(capsys, bare | nothing, tmp_path).split())
    assert words.startswith("judgements: 0 pairs of 0 queries images")
    words = " ".join(printed(capsys, bare | {name: 3 for name in nothing}, tmp_path).split())
    assert "3 queries, no agreement, for which a query needs a good and a bad neighbor" in words
    print_job("0 layer1", bare | judged, gallery(), 1.0)
    print_job("1 layer1", METRICS | judged, gallery(artist=["a"], style=["b"], source=["c"]), 1.0)
    first, second = capsys.readouterr().out.splitlines()
    assert "judged/agreement 0.625" in first and "artist/map_at_10" in second


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (["place", "style", "artist"], ["artist", "style"]),
        (["place", "artist"], ["artist"]),
        (["place", "technique", "school"], ["school"]),
        (["place", "color"], ["color"]),
        (["place"], ["place"]),
    ],
)
def test_the_labels_shown_are_known_ones_or_the_most_detailed(
    columns: list[str], shown: list[str]
) -> None:
    works = {"place": ["a", "a", "b", "c", "d"], "color": ["x", "x", "y", "y", ""]}
    works |= {name: ["p", "p", "q", "q", "r"] for name in ("artist", "style", "school")}
    assert main_labels(columns, gallery(**works)) == shown


@pytest.mark.parametrize(("name", "is_drawn"), [("demo-seed-0-1", True), ("folder-1", False)])
def test_random_weights_are_explained_in_one_sentence(
    name: str, is_drawn: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = " ".join(printed(capsys, RANDOM, tmp_path, name=name).split())
    assert ("differ in color and texture" in words) == is_drawn
    assert "0.190 with random weights and 0.538 with trained ones." in words
    assert "Random weights" not in printed(capsys, METRICS, tmp_path, name=name)


def test_files_elsewhere_have_path_and_size_and_the_last_line_says_what_to_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    skipped = tmp_path / "embeddings" / "skipped.csv"
    skipped.parent.mkdir()
    skipped.write_bytes(b"x" * 1500)
    lines = printed(capsys, METRICS, tmp_path / "run", [skipped]).splitlines()
    assert "skipped.csv, 1.5 kB: embeddings/skipped.csv" in lines
    assert lines[-1] == "open run/neighbors.jpg"


def test_the_next_command_is_valid_for_the_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / 'Künstler\'s "works" $1'
    folder.mkdir()
    (line,) = [text for text in printed(capsys, METRICS, folder).splitlines() if "src.show" in text]
    command = shlex.split(line.partition(": ")[2])
    assert command == ["python", "-m", "src.show", "--run", str(folder)]


@pytest.mark.parametrize("columns", [10, 40, 59, 80, 200])
def test_a_narrow_terminal_cuts_no_number(
    columns: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    words = printed(capsys, METRICS, tmp_path).replace(",", " ").split()
    assert {"0.9000", "0.5000", "0.4000", "0.125", "0.375", "0.312-0.438"} <= set(words)


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}])
def test_the_summary_has_no_control_characters(
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert "\x1b" not in printed(capsys, METRICS, tmp_path)


@pytest.mark.parametrize("copies", [None, 0, 2])
def test_copies_are_told_with_the_option_that_leaves_them_out(
    copies: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = METRICS if copies is None else METRICS | {"copies": copies}
    text = " ".join(printed(capsys, metrics, tmp_path).split())
    assert ("copies: 2 images whose file" in text) == bool(copies)
    assert ("similarity.exclude=same_image they are no neighbors" in text) == bool(copies)
