"""Compare runs:  python -m src.leaderboard [FOLDER ...] [--sort METRIC] [--baseline RUN] [--latex]

Each folder is a run or holds runs, such as those of a sweep; the default is the newest sweep.
Writes leaderboard.csv, .md and .html into the first folder: for the runs over the same images and
labels a board with the settings that differ and the metrics with their intervals, best first, then
the incomplete runs with the commands that repeat them.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from src.config.validation import path_argument
from src.errors import UserError
from src.leaderboard.comparison import compare
from src.leaderboard.export import write_leaderboard
from src.leaderboard.latex import latex
from src.leaderboard.runs import newest_sweep, read_runs
from src.runtime.streams import print_error, run_command


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    parser = argparse.ArgumentParser(
        "python -m src.leaderboard",
        description="Compare runs: print a table, best first, and write it as .md, .csv and .html.",
    )
    parser.add_argument(
        "folders",
        nargs="*",
        type=path_argument,
        help="runs, or folders of runs such as sweeps (default: the newest sweep)",
    )
    parser.add_argument(
        "--sort", help="metric to sort by, as in metrics.json (default: map_at_10 of a label)"
    )
    _add_comparisons(parser)
    parser.add_argument(
        "--latex",
        action="store_true",
        help="print the tables as LaTeX (booktabs) for a paper, and write no files",
    )
    parser.add_argument(
        "--outputs",
        type=path_argument,
        default=Path("outputs"),
        help="folder to search for the newest sweep (default: outputs)",
    )
    parser.add_argument(
        "--escape-formulas",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="in the CSV, put an apostrophe before text that a spreadsheet would compute",
    )
    return parser


def _add_comparisons(parser: argparse.ArgumentParser) -> None:
    """Add the options that tell differences between runs from chance."""
    parser.add_argument(
        "--baseline",
        metavar="RUN",
        help="show differences to this run instead of the gap to the best, and which of them are"
        " significant: a folder, the name in the table, or settings that only this run has, such as"
        " backbone.layer=layer4,similarity.postprocess=none",
    )
    parser.add_argument(
        "--halves",
        action="store_true",
        help="also choose the best run on one half of the label's classes (such as artists) and"
        " show it on the other half, as evaluation.halves=true does for a sweep",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print and write the leaderboard; return the exit code, 1 if a run is incomplete."""
    options = _parser().parse_args(arguments)
    try:
        folders = options.folders or [newest_sweep(options.outputs)]
        runs = read_runs(folders)
        leaderboard = compare(runs, options.sort, options.baseline, options.halves)
        if options.latex:
            print(latex(leaderboard))
        else:
            write_leaderboard(leaderboard, folders[0], options.escape_formulas)
    except (UserError, OSError, ValueError) as error:
        print_error(error)
        return 2
    return int(any(run.error for run in runs))


if __name__ == "__main__":
    sys.exit(run_command(main))
