"""Compare runs on boards, each with its own images and labels.

Between boards nothing is compared. Imports no torch, to start quickly.
"""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite

import pandas as pd

from src.errors import UserError, did_you_mean
from src.evaluation.metrics import AGREEMENT, JUDGED, direction, is_filtered
from src.leaderboard.baseline import with_baseline
from src.leaderboard.board import HALF_COLUMNS, Board
from src.leaderboard.grouping import comparable_groups, image_identity
from src.leaderboard.runs import Run
from src.leaderboard.words import differing_settings

EMPTY = "metrics.json holds no metrics"
MAX_WRITTEN = 1000  # incomplete runs in a file, with their commands


@dataclass(frozen=True)
class Leaderboard:
    """All runs: boards of comparable ones, most images first, and those that are incomplete.

    Boards on which all weights are random come last.
    """

    boards: list[Board]
    incomplete: list[Run]

    @property
    def runs(self) -> list[Run]:
        """Return the runs of all boards, in order."""
        return [run for board in self.boards for run in board.runs]

    @property
    def total(self) -> int:
        """Return the number of all runs."""
        missing = sum(len(board.missing_metric) for board in self.boards)
        return len(self.runs) + missing + len(self.incomplete)

    @property
    def settings(self) -> list[str]:
        """Return the settings in which any two runs differ, also in images and labels."""
        return differing_settings((run.settings for run in self.runs), selecting=True)

    def metrics(self) -> list[str]:
        """Return the metrics that the boards show."""
        return list(dict.fromkeys(name for board in self.boards for name in board.metrics()))

    @cached_property
    def headings(self) -> list[str]:
        """Return what each board compares; boards that share images or a name are told apart."""
        headings: list[str] = []
        seen: dict[tuple[str, ...], int] = {}
        for number, board in enumerate(self.boards, 1):
            images = image_identity(board.runs[0])
            place = f"board {number}: " if len(self.boards) > 1 else ""
            what = "judgements" if board.metric.startswith(JUDGED) else "labels"
            same = f" (images of board {seen[images]}, other {what})" if images in seen else ""
            seen.setdefault(images, number)
            headings.append(f"{place}{board.collection}{same}")
        return headings

    @cached_property
    def table(self) -> pd.DataFrame:
        """Return the tables of the boards below one another; the column board has the heading."""
        boards = zip(self.headings, self.boards, strict=True)
        tables = [board.table.assign(board=heading) for heading, board in boards]
        table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["board"])
        settings = [name for board in self.boards for name in board.settings]
        gap = [f"{name}{end}" for name in ("behind", "difference") for end in ("", "_low", "_high")]
        compared = [*gap, "p", "p_holm", *HALF_COLUMNS]
        first = dict.fromkeys(["board", "run", "mark", *settings, *compared])
        shown = [name for name in first if name in table]
        return table[[*shown, *(name for name in table if name not in first)]]


def compare(
    runs: list[Run], sort: str | None, baseline: str | None = None, halves: bool = False
) -> Leaderboard:
    """Order the runs of each board by the metric sort, or by a default if it is None or lacking.

    baseline names the run of a board that the others are compared with, by folder or settings.
    With halves, or if all runs of a board have evaluation.halves, its best run is also chosen on
    half of the classes. Raises UserError if no run has the metric, or no single one is the
    baseline.
    """
    runs = [run if run.error or numbers([run]) else replace(run, error=EMPTY) for run in runs]
    complete = [run for run in runs if not run.error]
    incomplete = [run for run in runs if run.error]
    if sort is not None:
        sort_metric(complete, sort)
    groups = comparable_groups(complete)
    # What did not end belongs to no board unless there is only one
    others = incomplete if len(groups) == 1 else []
    boards = [board for group in groups for board in _boards(group, others, sort)]
    boards = [replace(board, is_halved=halves or _asks_for_halves(board)) for board in boards]
    if baseline is not None:
        boards = with_baseline(boards, baseline, incomplete)
    return Leaderboard(sorted(boards, key=_board_key), incomplete)


def _asks_for_halves(board: Board) -> bool:
    return all(run.settings.get("evaluation.halves") is True for run in board.runs)


def _board_key(board: Board) -> tuple[bool, int, int]:
    """Return a key that puts the boards with most images first, those of random weights last."""
    return all(board.marks), -int(board.runs[0].metrics["images"]), -len(board.runs)


def _boards(runs: list[Run], incomplete: list[Run], sort: str | None) -> list[Board]:
    """Return the board of comparable runs, and that of the ones that only have other labels.

    A run that lacks the metric of `sort` but shares a label with the board stays with it. By a
    metric of judgements, runs with other judgements have a board of their own.
    """
    board = _board(runs, incomplete, sort)
    if others := _judged_otherwise(board):
        rest = [run for run in runs if run not in others]
        return [*_boards(rest, incomplete, sort), *_boards(others, [], sort)]
    shared = set(label_maps(board.runs)) if sort else set[str]()
    labels = [(run, label_maps([run])) for run in board.missing_metric]
    others = [run for run, names in labels if names and shared.isdisjoint(names)]
    if not others or not label_maps(board.runs):
        return [board]
    missing = [run for run in board.missing_metric if run not in others]
    return [replace(board, missing_metric=missing), *_boards(others, [], sort)]


def _judged_otherwise(board: Board) -> list[Run]:
    """Return the runs with other judgements than the best one has, [] by another metric."""
    if not board.metric.startswith(JUDGED):
        return []
    hashes = [run.metrics.get("judgements") for run in board.runs]
    return [run for run, found in zip(board.runs, hashes, strict=True) if found != hashes[0]]


def label_maps(runs: list[Run]) -> list[str]:
    """Return the names of map_at_10 of labels, without filters, that one of the runs has."""
    available = numbers(runs)
    return [name for name in available if name.endswith("/map_at_10") and not is_filtered(name)]


def _board(runs: list[Run], incomplete: list[Run], sort: str | None) -> Board:
    """Return comparable runs in order; incomplete ones count for which settings differ."""
    metric = sort_metric(runs, sort if sort in numbers(runs) else None)
    sign = direction(metric)
    ordered = sorted(
        (run for run in runs if metric in numbers([run])),
        key=lambda run: -sign * float(run.metrics[metric]),
    )
    settings = differing_settings(run.settings for run in runs + incomplete)
    missing = [run for run in runs if metric not in numbers([run])]
    return Board(metric, settings, ordered, _run_names(ordered), missing)


def _run_names(runs: list[Run]) -> list[str]:
    """Return the name of each run: its folder's, with parents if that is not unique."""
    names = [run.folder.name for run in runs]
    if len(set(names)) == len(names):
        return names
    parent = os.path.commonpath([run.folder.absolute() for run in runs])
    return [os.path.relpath(run.folder, parent) for run in runs]


def sort_metric(runs: list[Run], sort: str | None) -> str:
    """Return the metric to sort by: sort, else map_at_10 of artist or another label.

    Without labels it is the agreement with judgements, without those intra.
    Raises UserError if no run has sort as a number.
    """
    available = numbers(runs)
    if sort is None:
        maps = label_maps(runs)
        maps.sort(key=lambda name: not name.startswith("artist/"))
        return next(name for name in (*maps, AGREEMENT, "intra", *available) if name in available)
    if sort not in available:
        raise UserError(f"--sort {sort}: no run has that metric{did_you_mean(sort, available)}")
    return sort


def numbers(runs: list[Run]) -> list[str]:
    """Return the names of the metrics that are numbers in one of the runs, in order."""
    return list(
        dict.fromkeys(
            name
            for run in runs
            for name, value in run.metrics.items()
            if type(value) in (int, float) and isfinite(value)  # a bool is no number
        )
    )
