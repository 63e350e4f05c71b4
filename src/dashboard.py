"""Open runs in TensorBoard:  python -m src.dashboard [FOLDER] [--port 6006]

FOLDER is a run or holds runs, such as those of a sweep; the default is all runs of outputs.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from src.config.validation import path_argument
from src.errors import UserError
from src.leaderboard.comparison import compare
from src.leaderboard.hparams import write_columns
from src.leaderboard.runs import read_runs
from src.runtime.streams import print_error, print_lines, run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; return the exit code."""
    parser = argparse.ArgumentParser(
        "python -m src.dashboard", description="Open runs in TensorBoard."
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=path_argument,
        default=Path("outputs"),
        help="a run, or a folder of runs such as a sweep (default: outputs)",
    )
    parser.add_argument("--port", type=int, default=6006, help="port on localhost (default: 6006)")
    options = parser.parse_args(arguments)
    try:
        comparison = compare(read_runs([options.folder]), None)
        count = write_columns(comparison, options.folder)
    except (UserError, OSError, ValueError) as error:
        print_error(error)
        return 2
    total = len(comparison.runs)
    print_lines(f"{count} of {total} runs of {options.folder} have TensorBoard files")
    from tensorboard import default, program  # takes seconds to import

    server = program.TensorBoard(default.get_plugins())
    server.configure(
        (None, "--logdir", str(options.folder), "--host", "localhost", "--port", str(options.port))
    )
    return int(server.main())


if __name__ == "__main__":
    sys.exit(run_command(main))
