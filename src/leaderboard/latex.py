"""A leaderboard as LaTeX: a table of the package booktabs for each board."""

import re
from typing import Any

from src.evaluation.metrics import describe_metric, is_filtered
from src.io.printable import printable
from src.leaderboard.board import Board
from src.leaderboard.comparison import Leaderboard
from src.leaderboard.notes import SIGN, sign_of, table_notes
from src.leaderboard.paired import LEVEL
from src.reporting.baselines import MARK
from src.reporting.text import counted, format_interval, format_number, format_signed

PACKAGE = r"% needs \usepackage{booktabs}; letters beyond Latin need XeLaTeX or LuaLaTeX"
ESCAPES = str.maketrans(
    {sign: f"\\{sign}" for sign in "{}$&#%_"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    | {
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "…": r"\ldots{}",
        "†": r"\textdagger{}",
    }
    | {sign: f"{{{sign}}}" for sign in "[]*"}  # options of the end of a row before them
)
MAX_OTHER_LABELS = 2
HEADS = {
    "backbone.name": "network",
    "backbone.gem_p": "exponent",
    "similarity.top_k": "neighbors",
    "similarity.postprocess": "post-processing",
    "similarity.augment": "augmented by",
    "data.image_size": "pixels",
}


def latex(leaderboard: Leaderboard) -> str:
    """Return the boards as tables with captions; what is incomplete is named in comments."""
    tables = [_table(board, number) for number, board in enumerate(leaderboard.boards, 1)]
    comments = [f"% incomplete: {printable(run.folder)}" for run in leaderboard.incomplete]
    return "\n\n".join([PACKAGE, *tables, *comments])


def escape_latex(text: object) -> str:
    r"""Return text that LaTeX sets as it is written, on one line.

    >>> print(escape_latex("50% of a_b [x]"))
    50\% of a\_b {[}x{]}
    """
    return printable(text).translate(ESCAPES)


def _table(board: Board, number: int) -> str:
    """Return the table of a board: settings that differ, the metric, the gap, other labels."""
    first, *others = _metrics(board)
    several = len(board.runs) > 1
    compared = {board.gap[0]: board.gap[0]} if several else {}
    compared |= board.half_columns
    heads = [*(HEADS.get(name) or _words(name) for name in board.settings or ["run"])]
    heads += [_metric_head(first), *compared.values(), *map(_metric_head, others)]
    lines = []
    for at, row in enumerate(board.table.to_dict("records")):
        values = _setting_cells(board, at)
        best = rf"\textbf{{{format_number(row[first])}}}" if several and at == 0 else None
        numbers = [_cell(row, first, best), *(_cell(row, name) for name in [*compared, *others])]
        if several and board.runs[at] is board.baseline:
            numbers[1] = "baseline"
        lines.append(f"    {' & '.join([*values, *numbers])} \\\\")
    columns = "l" * len(board.settings or ["run"]) + "r" * len(numbers)
    comments = [f"without {first}: {run.folder}" for run in board.missing_metric]
    return "\n".join(
        [
            *(f"% {escape_latex(text)}" for text in [*comments, *table_notes(board)]),
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_caption(board)}}}",
            rf"  \label{{tab:leaderboard-{number}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            f"    {' & '.join(map(escape_latex, heads))} \\\\",
            r"    \midrule",
            *lines,
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def _metrics(board: Board) -> list[str]:
    """Return the metrics to show: the one to sort by, and those of its label and a few others."""
    label = board.metric.rpartition("/")[0]
    alone = [name for name in board.metrics() if "_at_" in name and not is_filtered(name)]
    same = [name for name in alone if name.rpartition("/")[0] == label]
    others = [name for name in alone if name not in same and "/" in name][:MAX_OTHER_LABELS]
    return list(dict.fromkeys([board.metric, *same, *others]))


def _setting_cells(board: Board, at: int) -> list[str]:
    """Return the run's settings that differ, or its name; random weights are named as such."""
    cells = [
        MARK if name == "backbone.weights" and board.marks[at] else texts[at]
        for name, texts in board.texts.items()
    ]
    return [escape_latex(cell) for cell in cells or [board.names[at]]]


def _cell(row: dict[Any, Any], name: str, text: str | None = None) -> str:
    """Return a metric, or text in its place, and its interval in small figures."""
    is_difference = name == "difference"
    text = text or (format_signed if is_difference else format_number)(row.get(name))
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    interval = format_interval(low, high, signed=is_difference)
    text += escape_latex(sign_of(row)) if is_difference else ""
    both = rf"{text} {{\footnotesize {escape_latex(interval)}}}" if interval and text else text
    return re.sub(r"(?<!\d)-(?=\d)", "$-$", both)  # a minus sign instead of a hyphen


def _caption(board: Board) -> str:
    """Return what the numbers are and what they are measured on."""
    queries, chance = board.queries, format_number(board.chance)
    meaning = describe_metric(board.metric).partition(";")[0]
    sentences = [
        board.collection,
        f"{_metric_head(board.metric)}: {meaning or 'a metric of metrics.json'}"
        + (f", over {counted(queries, 'query', 'queries')}" if queries is not None else ""),
        "In brackets: 95% bootstrap intervals",
    ]
    if board.baseline:
        sentences += _about_difference(board)
    elif len(board.runs) > 1:
        sentences.append("Behind: the paired difference to the best run")
    if chance:
        sentences.append(f"Random order would give {chance}")
    if all(board.marks):
        sentences.append(f"All networks have {MARK}: they have learned nothing")
    return escape_latex(". ".join(sentences) + ".")


def _about_difference(board: Board) -> list[str]:
    """Return what the runs are compared with, and what the sign behind a difference means."""
    tested = sum(found.p is not None for found in board.paired.tested)
    label = board.labels[board.runs.index(board.paired.reference)]
    return [
        f"Difference: paired, to the baseline ({label})",
        *[f"{SIGN}: p at most {LEVEL} after Holm's correction for {tested} comparisons"]
        * (tested > 0),
    ]


def _metric_head(name: str) -> str:
    """Return a short name of a metric: artist mAP@10 for artist/map_at_10."""
    label, _, end = name.rpartition("/")
    end = re.sub(r"^precision(?=_at_)", "P", re.sub(r"^map(?=_at_)", "mAP", end))
    return f"{label} {end.replace('_at_', '@').replace('_', ' ')}".strip()


def _words(name: str) -> str:
    """Return the last part of a setting's name in words."""
    return name.rpartition(".")[2].replace("_", " ")
