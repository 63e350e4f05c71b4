"""Review runs in TensorBoard:  python -m src.dashboard [FOLDER] [--port 6006]

FOLDER is a run or holds runs, a sweep's for example; without one, all that is in outputs.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tensorboard import default, program
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from src.board import Board, compare
from src.checks import UserError
from src.page import columns
from src.runs import plain, read

# The only files that say which columns HPARAMS has: TensorBoard takes those of any one of them.
SUFFIX = ".columns"
MAIN = ["backbone.name", "backbone.layer", "similarity.postprocess"]  # where none differ


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; the exit code."""
    parser = argparse.ArgumentParser("python -m src.dashboard", description="Review runs.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("outputs"))
    parser.add_argument("--port", type=int, default=6006, help="on this machine alone")
    options = parser.parse_args(arguments)
    try:
        board = compare(read([options.folder]), None)
        write_columns(board, options.folder)
    except (UserError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    shown = [run for run in board.runs if any(run.folder.glob("events.out.tfevents.*"))]
    print(f"{len(shown)} of {len(board.runs)} runs of {options.folder} are in TensorBoard's files")
    server = program.TensorBoard(default.get_plugins())
    server.configure(
        (None, "--logdir", str(options.folder), "--host", "localhost", "--port", str(options.port))
    )
    return int(server.main())


def write_columns(board: Board, folder: Path) -> None:
    """Tell TensorBoard's HPARAMS which settings differ, and which metrics to show beside them."""
    for path in folder.rglob(f"events.out.tfevents.*{SUFFIX}"):
        path.unlink()
    names = board.settings or MAIN
    settings = [hparams.HParam(name, hparams.Discrete(_values(board, name))) for name in names]
    metrics = [hparams.Metric(name) for name in columns(board) if name != "behind"]
    summary = hparams.hparams_config_pb(settings, metrics)
    writer = EventFileWriter(str(folder), filename_suffix=SUFFIX)
    writer.add_event(Event(wall_time=time.time(), summary=summary))
    writer.close()


def _values(board: Board, name: str) -> list[Any]:
    """Of a setting, as runs tell TensorBoard, in order; as text unless all are of one kind."""
    values = {plain(run.settings.get(name)) for run in board.runs}
    kinds = {type(value) for value in values}
    return sorted(values) if len(kinds) == 1 else sorted(map(str, values))


if __name__ == "__main__":
    sys.exit(main())
