"""Sentences that keep a board's numbers from being misread."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from src.evaluation.metrics import AGREEMENT, JUDGED
from src.evaluation.significance import smallest_p_value
from src.leaderboard.board import Board
from src.leaderboard.halves import NAMES, Choice, Halves
from src.leaderboard.paired import LEVEL, Difference, Paired, unequal_settings
from src.reporting.baselines import MARK
from src.reporting.text import counted, format_interval, format_number, format_signed, listed

SIGN = "†"  # behind a difference that survives Holm's correction
SEVERAL = "Boards differ in images, labels or judgements: compare within one, never across."
LEARNED_NOTHING = (
    f"{MARK}: that network has learned nothing; what it scores comes from color and texture alone"
)


def notes(board: Board) -> list[str]:
    """Return what is to be known about a board and its table."""
    return [*board_notes(board), *table_notes(board)]


def board_notes(board: Board) -> list[str]:
    """Return what the runs have in common, and what their metric is."""
    queries, chance = board.queries, format_number(board.chance)
    lines = [f"all runs: {shared}"] if (shared := board.shared) else []
    if board.ranks_settings and queries is not None:
        by_chance = f"; random order would give {chance}" if chance else ""
        over = counted(queries, "query", "queries")
        lines.append(f"{board.metric} is a mean over {over}{by_chance}")
    if not board.ranks_settings:
        lines.append(f"{board.metric} describes each run and says nothing about quality")
    measures = ("/map_at_10", "/precision_at_1", JUDGED)
    if not any(part in name for name in board.metrics() for part in measures):
        lines.append("no labels, so quality is not measured: add data.labels or data.judgements")
    return lines + [LEARNED_NOTHING] * any(board.marks)


def table_notes(board: Board) -> list[str]:
    """Return how the runs of a board were compared, and what could not be compared."""
    lines = [*_why_no_differences(board)] if len(board.runs) > 1 else []
    if any(found.low is not None for found in board.paired.differences):
        lines += [*(_tests(board) if board.baseline else _no_tests(board)), _resampled(board)]
    return [*lines, *_judgements(board), *_earlier_intervals(board), *_halves(board)]


def _why_no_differences(board: Board) -> Iterator[str]:
    """Yield why some runs or all are not compared."""
    paired = board.paired
    if paired.unequal_settings:
        names = " and ".join(paired.unequal_settings)
        yield (
            f"{board.metric} depends on {names}, in which these runs differ: its values are not"
            " comparable, and no differences are given"
        )
        return
    others = [at for at in range(len(board.runs)) if not paired.has_same_queries(at)]
    if others:
        whose = "the baseline" if board.baseline else "the best run"
        counts = [f"{_queries(paired, at)} in {board.names[at]}" for at in others]
        own = _queries(paired, board.runs.index(paired.reference))
        yield (
            f"no difference to {whose} for runs with other queries: {own} in {whose},"
            f" {listed(counts)}"
        )


def _queries(paired: Paired, at: int) -> str:
    """Return how many queries a run has, and whether their possible neighbors are others."""
    queries = paired.queries[at]
    others = "" if paired.has_same_chance(at) else " with other possible neighbors"
    return "none" if queries is None else f"{int(queries.sum()):,}{others}"


def _tests(board: Board) -> Iterator[str]:
    """Yield what the runs are compared with, and which differences survive."""
    paired = board.paired
    tested = [found for found in paired.tested if found.p is not None]
    survive = sum(found.survives for found in tested)
    label = board.labels[board.runs.index(paired.reference)]
    yield f"the difference is each run minus the baseline, {label}"
    if not tested:
        return
    yield (
        f"{SIGN} significant, {survive} of {len(tested)}: p at most {LEVEL} after Holm's correction"
        f" for {len(tested)} comparisons; two-sided, by random signs of {_units(board)}"
    )
    least = smallest_p_value(paired.unit_count) * len(tested)
    if least > LEVEL:
        yield (
            f"with {_units(board)}, no p-value of {len(tested)} can be below {least:.2g}: there"
            " are too few for any difference to be significant"
        )


def _no_tests(board: Board) -> Iterator[str]:
    """Yield why differences to the best run are not tested."""
    if len(board.runs) > 2 and board.ranks_settings:
        halves = "" if board.halves else ", --halves chooses on half of the classes"
        yield (
            f"the best of {len(board.runs)} runs may lead by chance, so the gaps to it are"
            " not tested: python -m src.leaderboard --baseline RUN tests the differences to a run"
            f" named beforehand{halves}"
        )


def _units(board: Board) -> str:
    """Return how many of what is resampled: classes, or queries where they are not known."""
    paired = board.paired
    if not paired.is_by_class:
        return counted(paired.unit_count, "single query", "single queries")
    return f"{counted(paired.unit_count, 'class', 'classes')} of {paired.classes.column}"


def _resampled(board: Board) -> str:
    """Return what the intervals of differences are of."""
    paired = board.paired
    text = f"intervals of differences: a paired bootstrap that draws {_units(board)}"
    if paired.is_by_class or not paired.classes.column:
        return text
    if paired.classes.ids is not None:
        return f"{text}, as evaluation.resample=query asks"
    return f"{text}, since their classes are not known: {paired.classes.why_unknown}"


def _judgements(board: Board) -> Iterator[str]:
    """Yield which runs have the same judgements, if not all have."""
    if not unequal_settings(AGREEMENT, board.runs):
        return
    names = defaultdict[tuple[str, str], list[str]](list)
    for name, run in zip(board.names, board.runs, strict=True):
        if AGREEMENT in run.metrics:  # the other two may be missing in a file by others
            pairs = str(run.metrics.get(f"{JUDGED}pairs", "unknown"))
            names[str(run.metrics.get("judgements")), pairs].append(name)
    groups = [f"{pairs} pairs in {listed(runs)}" for (_, pairs), runs in names.items()]
    yield (
        f"{AGREEMENT} is comparable only between runs with the same judgements: {'; '.join(groups)}"
    )


def _earlier_intervals(board: Board) -> Iterator[str]:
    """Yield which runs have intervals of an earlier version, which drew single queries."""
    names = [
        name
        for name, run in zip(board.names, board.runs, strict=True)
        if f"{board.metric}_low" in run.metrics and "evaluation.resample" not in run.settings
    ]
    if names and board.paired.classes.column:
        which = "all runs" if len(names) == len(board.runs) else f"run {listed(names)}"
        yield (
            f"intervals of {board.metric} of {which} are those of an earlier version, which drew"
            " single queries: they are too narrow"
        )


def _halves(board: Board) -> Iterator[str]:
    """Yield how the runs do on halves of the classes."""
    if not board.is_halved:
        return
    if board.halves is None:
        yield f"no halves: {Halves(board.paired).why_not}"
        return
    sizes = [
        f"half {name} has {counted(classes, 'class', 'classes')} and"
        f" {counted(queries, 'query', 'queries')}"
        for name, (classes, queries) in zip(NAMES, board.halves.sizes, strict=True)
    ]
    yield f"classes of {board.paired.classes.column} by a hash of their names: {', '.join(sizes)}"
    for choice in board.halves.choices:
        yield _choice(board, choice)


def _choice(board: Board, choice: Choice) -> str:
    """Return a run that was chosen on one half, and what it is on the other."""
    value = f"{format_number(choice.other)} {format_interval(choice.low, choice.high)}".strip()
    text = (
        f"chosen on half {choice.name}: {board.names[choice.at]} ({board.labels[choice.at]}), with"
        f" {format_number(choice.value)}; on half {choice.other_name} it has {value}"
    )
    if board.runs[choice.at] is board.baseline:
        return f"{text} and is the baseline"
    return f"{text}, {signed(choice.difference)} to the baseline" if board.baseline else text


def gap_text(board: Board, row: Mapping[Any, Any]) -> str:
    """Return the gap of a row of the board's table with its interval and SIGN."""
    name, is_signed = board.gap[0], board.baseline is not None
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if not is_signed:
        return f"{format_number(value)} {format_interval(low, high)}".strip()
    return " ".join(filter(None, [signed(Difference(value, low, high)), sign_of(row)]))


def sign_of(row: Mapping[Any, Any]) -> str:
    """Return SIGN if the difference of a row of the board's table is significant, else ""."""
    return SIGN if row.get("p_holm", 1) <= LEVEL else ""


def signed(found: Difference) -> str:
    """Return a difference with its sign and interval, "" if it is not known."""
    interval = format_interval(found.low, found.high, signed=True)
    return f"{format_signed(found.value)} {interval}".strip()
