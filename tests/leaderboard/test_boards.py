"""Only runs over the same images and labels are compared."""

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.leaderboard.__main__ import main
from src.leaderboard.board import Board
from src.leaderboard.comparison import Leaderboard, compare
from src.leaderboard.grouping import comparable_groups
from src.leaderboard.notes import notes
from src.leaderboard.runs import read_run, read_runs
from src.reporting.baselines import MARK
from src.reporting.run_folder import RunFolder
from tests.support.made_runs import N, update_metrics, write_run

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a run over given images and labels, a hash by column."""
    draw = np.random.default_rng(0)

    def written(
        name: str,
        images: str = "0123",
        labels: dict[str, str] | None = None,
        metrics: dict[str, Any] | None = None,
        weights: str = "IMAGENET1K_V2",
        **settings: Any,
    ) -> Path:
        """Write the run and return its folder."""
        paths: dict[str, Any] = {"gallery": f"../../galleries/folder-{images}", "images": images}
        options = {"backbone": {"layer": name, "weights": weights}} | settings
        folder = tmp_path / name
        n = (metrics or {}).get("images", N)
        write_run(
            folder,
            draw.random(n),
            draw.integers(0, n, (n, 4), np.int32),
            paths | ({"labels": labels} if labels else {}),
            **options,
        )
        update_metrics(folder, **(metrics or {}))
        return folder

    return written


def boards(folder: Path, sort: str | None = None) -> list[list[str]]:
    """Return the names of the runs of each board, sorted."""
    return [sorted(board.names) for board in compared(folder, sort).boards]


def compared(folder: Path, sort: str | None = None) -> Leaderboard:
    """Return the leaderboard of the runs in a folder."""
    return compare(read_runs([folder]), sort)


def test_each_gallery_and_label_table_has_its_board(write: Write, tmp_path: Path, capsys) -> None:
    for name in ("a", "b"):
        write(name, labels={"artist": "11"}, metrics={"artist/map_at_10": 0.3})
    for name in ("c", "d"):
        write(name, labels={"artist": "22"}, metrics={"artist/map_at_10": 0.6})
    for name in ("e", "f"):
        write(name, images="4567", metrics={"images": 90, "artist/map_at_10": 0.9})
    assert main([str(tmp_path)]) == 0
    assert boards(tmp_path) == [["a", "b"], ["c", "d"], ["e", "f"]]
    table = pd.read_csv(tmp_path / "leaderboard.csv")
    assert table["behind"].fillna(0).tolist() == [0] * 6  # none to the run of another board
    assert table["behind"].isna().tolist() == [True, False] * 3
    assert table["board"].nunique() == 3 and table["board"][4].startswith("board 3: 90 images of")
    assert "images of board 1, other labels" in table["board"][2]
    printed = " ".join(capsys.readouterr().out.split())
    page = (tmp_path / "leaderboard.html").read_text()
    for text in (printed, (tmp_path / "leaderboard.md").read_text(), page):
        assert text.count("2 runs by artist/map_at_10") == 3
        assert "board 1: 200 images" in text and "board 3: 90 images" in text
        assert "nan" not in text.replace("background", "").split("data:image")[0].lower()
    assert page.count("<section") == 3 and page.count('class="runs"') == 3
    assert page.count("Jaccard index of each two runs") == 3


def test_labels_of_earlier_runs_are_told_apart_by_the_sizes_of_their_classes(
    write: Write, tmp_path: Path
) -> None:
    facts = {"artist/queries": 90, "artist/precision_at_1_chance": 0.04}
    write("a", metrics=facts)
    write("b", metrics=facts)
    write("c", metrics=facts | {"artist/precision_at_1_chance": 0.05})
    write("d", metrics=facts | {"artist/queries": 91})
    assert boards(tmp_path) == [["a", "b"], ["c"], ["d"]]


def test_runs_that_share_a_label_are_compared(write: Write, tmp_path: Path) -> None:
    hashes = {"artist": "11", "style": "22"}
    write("earlier", metrics={"style/map_at_10": 0.5})
    write("both", labels=hashes, metrics={"style/map_at_10": 0.5})
    write("artist", labels=hashes)  # evaluation.labels=[artist]
    write("other", labels=hashes | {"style": "33"}, metrics={"style/map_at_10": 0.5})
    assert boards(tmp_path) == [["artist", "both", "earlier"], ["other"]]


def test_a_run_with_another_label_only_has_a_board_of_its_own(write: Write, tmp_path: Path) -> None:
    """As without data.labels, where the folders are the label, beside a table of labels."""
    hashes = {"folder": "11"}
    write("table", labels=hashes | {"artist": "22"}, metrics={"folder/map_at_10": 0.3})
    folder = write("folders", labels=hashes)
    RunFolder(folder).write_metrics({"images": N, "intra": 0.5, "folder/map_at_10": 0.3})
    found = {board.names[0]: board for board in compared(tmp_path).boards}
    assert {name: board.metric for name, board in found.items()} == {
        "table": "artist/map_at_10",
        "folders": "folder/map_at_10",
    }
    assert not any(board.missing_metric for board in found.values())


def test_a_run_without_labels_is_no_part_of_a_board_with_labels(
    write: Write, tmp_path: Path, capsys
) -> None:
    write("with")
    for folder in (write("without"), write("neither")):
        metrics = {"images": N, "intra": 0.5, "inter": 0.25}
        RunFolder(folder).write_metrics(metrics)
    assert boards(tmp_path) == [["neither", "without"], ["with"]]
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "no labels, so quality is not measured: add data.labels" in printed
    assert "intra describes each run and says nothing about quality" in printed


def test_the_groups_do_not_depend_on_the_order_of_the_runs(write: Write) -> None:
    folders = [
        write("a", labels={"artist": "11"}),
        write("b", labels={"artist": "11", "style": "22"}, metrics={"style/map_at_10": 0.5}),
        write("c", labels={"style": "33"}, metrics={"style/map_at_10": 0.5}),
        write("d", images="89", labels={"artist": "11"}),
    ]
    runs = [read_run(folder) for folder in folders]

    def names(group: list[Any]) -> tuple[str, ...]:
        """Return the sorted names of runs."""
        return tuple(sorted(run.folder.name for run in group))

    found = {
        tuple(sorted(map(names, comparable_groups(list(order))))) for order in permutations(runs)
    }
    assert len(found) == 1


def test_boards_of_random_weights_are_last_then_those_with_fewer_images(
    write: Write, tmp_path: Path
) -> None:
    write("drawn", images="1", metrics={"images": 900}, weights="random")
    write("small", images="2", metrics={"images": 100})
    write("large", images="3", metrics={"images": 500})
    assert boards(tmp_path) == [["large"], ["small"], ["drawn"]]


def test_a_board_without_the_metric_is_sorted_by_its_own(write: Write, tmp_path: Path) -> None:
    write("a", metrics={"style/map_at_10": 0.5})
    write("b", images="4567")
    found = {board.names[0]: board.metric for board in compared(tmp_path, "style/map_at_10").boards}
    assert found == {"a": "style/map_at_10", "b": "artist/map_at_10"}


def random_board(write: Write, tmp_path: Path) -> Board:
    """Return a board of a trained network and one with random weights, which ranks first."""
    write("trained", metrics={"artist/map_at_10": 0.2, "artist/map_at_10_chance": 0.05})
    write("untrained", weights="random", metrics={"artist/map_at_10": 0.4})
    (board,) = compared(tmp_path).boards
    return board


def test_random_weights_are_marked_in_every_form(write: Write, tmp_path: Path, capsys) -> None:
    board = random_board(write, tmp_path)
    assert board.names == ["untrained", "trained"] and board.marks == [MARK, ""]
    assert MARK in board.labels[0] and MARK not in board.labels[1]
    main([str(tmp_path)])
    printed = " ".join(capsys.readouterr().out.split())
    assert "untrained *" in printed and " trained *" not in printed
    assert f"* {MARK}: that network has learned nothing" in printed
    text = (tmp_path / "leaderboard.md").read_text()
    assert f"| untrained ({MARK}) |" in text and "| trained  " in text
    assert "that network has learned nothing" in text
    assert (
        f'untrained</a><span class="mark">{MARK}</span>'
        in (tmp_path / "leaderboard.html").read_text()
    )
    table = pd.read_csv(tmp_path / "leaderboard.csv", keep_default_na=False)
    assert table["mark"].tolist() == [MARK, ""]
    main([str(tmp_path), "--latex"])
    assert f"\n    untrained & {MARK} & " in capsys.readouterr().out


def test_a_board_of_random_weights_alone_is_marked_too(write: Write, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(name, weights="random")
    (board,) = compared(tmp_path).boards
    assert "backbone.weights" not in board.settings
    assert sorted(board.labels) == [f"a, {MARK}", f"b, {MARK}"]
    assert notes(board)[0] == f"all runs: {MARK}"  # what they have in common


def test_a_finished_run_says_which_labels_it_has(finished_run: Path) -> None:
    files = RunFolder(finished_run)
    gallery = files.gallery()
    assert files.label_hashes() == gallery.label_fingerprints() != {}
    works = gallery.works.copy()
    (column, *_) = gallery.label_columns()
    works[column] = works[column].to_numpy()[::-1].copy()
    first, last = works.index[0], works.index[-1]
    works.loc[first, column], works.loc[last, column] = (
        works.loc[last, column],
        works.loc[first, column],
    )
    swapped = type(gallery)(gallery.name, gallery.root, works)
    assert swapped.label_fingerprints()[column] != gallery.label_fingerprints()[column]


def test_a_collection_whose_name_is_not_utf8_is_named(write: Write, tmp_path: Path, capsys) -> None:
    for name in ("a", "b"):
        write(name, data={"images": "/paintings/caf\udce9"})
    assert main([str(tmp_path)]) == 0
    assert r"200 images of caf\udce9" in capsys.readouterr().out
    assert r"200 images of caf\udce9" in (tmp_path / "leaderboard.html").read_text("utf-8")
