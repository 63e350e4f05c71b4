"""Which runs are open: those that are named, the best ones of a sweep, or the newest."""

from collections.abc import Sequence
from pathlib import Path

from src.errors import UserError
from src.leaderboard.board import Board
from src.leaderboard.comparison import compare
from src.leaderboard.runs import find_files, read_runs
from src.reporting.comparison_files import NEIGHBORS
from src.runtime.streams import print_lines

MAX_RUNS = 8  # of a folder of runs
METRICS = "metrics.json"  # written last, so that only a finished run has it


def chosen_runs(folders: Sequence[Path], outputs: Path) -> list[Path]:
    """Return the folders of runs to open, each once: of those given, else the newest in outputs.

    Raises UserError if there is none.
    """
    found = [run for folder in folders for run in _runs_in(folder)] or [newest_run(outputs)]
    unique = dict[Path, Path]()
    for run in found:
        unique.setdefault(run.resolve(), run)
    return list(unique.values())


def newest_run(outputs: Path) -> Path:
    """Return the folder of the newest finished run in outputs. Raises UserError."""
    found = max(find_files(outputs, METRICS), key=lambda path: path.stat().st_mtime, default=None)
    if found is None:
        raise UserError(
            f"there is no finished run in {outputs} yet: start one with"
            " python -m src.run experiment=demo"
        )
    return found.parent


def _runs_in(folder: Path) -> list[Path]:
    """Return a folder if it is that of a run, else the runs in it: best first, not too many.

    Runs over other images or labels than most are left out, as they cannot be compared. Prints
    what is left out.
    """
    if (folder / NEIGHBORS).is_file():
        return [folder]
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder}: give that of a run, outputs/runs/<date>/<time>,"
            " or of a sweep, outputs/sweeps/<date>/<time>"
        )
    runs = compare(read_runs([folder]), None)
    if not runs.boards:
        raise UserError(f"no run in {folder} is finished: {runs.incomplete[0].error}")
    best = runs.boards[0]
    shown = best.runs[:MAX_RUNS]
    if len(shown) < runs.total:
        left_out = {
            f"with less {best.metric}": len(best.runs) - len(shown),
            f"without {best.metric}": len(best.missing_metric),
            "over other images or labels": sum(map(_size, runs.boards[1:])),
            "not finished": len(runs.incomplete),
        }
        counts = ", ".join(f"{count} {why}" for why, count in left_out.items() if count)
        print_lines(f"{len(shown)} of {runs.total} runs in {folder} are open, left out: {counts}")
    return [run.folder for run in shown]


def _size(board: Board) -> int:
    return len(board.runs) + len(board.missing_metric)
