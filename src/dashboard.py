"""Open runs in TensorBoard:  python -m src.dashboard [FOLDER] [--port 6006]

FOLDER is a run or holds runs, such as those of a sweep; the default is all runs of outputs.
"""

import argparse
import json
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from src.config.validation import path_argument
from src.errors import UserError
from src.leaderboard.comparison import compare
from src.leaderboard.hparams import shown_metrics, write_columns
from src.leaderboard.run_links import named_runs
from src.leaderboard.runs import read_runs
from src.runtime.streams import print_error, print_lines, run_command

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

MAX_PORT = 65535


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; return the exit code."""
    options = parse(arguments)
    try:
        check_port(options.port)
        runs = read_runs([options.folder])
        comparison = compare(runs, None)
        count = write_columns(comparison, options.folder)
        total = len(comparison.runs)
        print_lines(f"{count} of {total} runs of {options.folder} have TensorBoard files")
        with named_runs(runs, options.folder) as folder:
            return serve(folder, options.port, shown_metrics(comparison))
    except (UserError, OSError, ValueError) as error:
        print_error(error)
        return 2


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the folder and the port."""
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
    parser.add_argument("--port", type=port, default=6006, help="port on localhost (default: 6006)")
    return parser.parse_args(arguments)


def port(text: str) -> int:
    """Return text as the number of a port. argparse reports the ValueError of another number."""
    if not 1 <= int(text) <= MAX_PORT:
        raise ValueError
    return int(text)


def check_port(port: int) -> None:
    """Raise UserError if a server listens on the port."""
    with socket.socket() as probe:
        if probe.connect_ex(("localhost", port)) == 0:
            raise _in_use(port)


def _in_use(port: int) -> UserError:
    other = port + 1 if port < MAX_PORT else port - 1
    return UserError(
        f"port {port} is in use, perhaps by another dashboard: choose another one with"
        f" make dashboard PORT={other}, or --port {other}"
    )


def serve(folder: Path, port: int, metrics: Iterable[str]) -> int:
    """Serve the runs in folder until Ctrl-C, with cards of metrics on top of TIME SERIES.

    Returns the exit code. Raises UserError if the port is in use.
    """
    from tensorboard import default, program  # takes seconds to import

    class Server(program.WerkzeugServer):  # type: ignore[misc]
        """TensorBoard's own, with the address of the page to begin with."""

        def __init__(self, app: "WSGIApplication", flags: Any) -> None:
            try:
                super().__init__(with_pinned_cards(app, metrics), flags)
            except program.TensorBoardPortInUseError as error:
                raise _in_use(port) from error

        def print_serving_message(self) -> None:
            """Print the address."""
            print_lines(f"settings and metrics: {self.get_url()}#hparams (Ctrl-C to quit)")
            sys.stdout.flush()  # a pipe would hold the line back as long as the server runs

    server = program.TensorBoard(default.get_plugins(), server_class=Server)
    server.configure((None, "--logdir", str(folder), "--host", "localhost", "--port", str(port)))
    return int(server.main())


def with_pinned_cards(app: "WSGIApplication", metrics: Iterable[str]) -> "WSGIApplication":
    """Return TensorBoard's app; a request of its page alone is redirected to one with pinned cards.

    The part of an address after # stays as it is.
    """
    cards = [{"plugin": "scalars", "tag": metric} for metric in metrics]
    location = f"/?pinnedCards={quote(json.dumps(cards))}"

    def pinned(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Answer the address without a path with that of the pinned cards."""
        if environ["PATH_INFO"] == "/" and not environ.get("QUERY_STRING"):
            start("302 Found", [("Location", location), ("Content-Length", "0")])
            return []
        return app(environ, start)

    return pinned


if __name__ == "__main__":
    sys.exit(run_command(main))
