"""Look at runs in a web browser: paintings, their neighbors, maps, comparisons of runs.

python -m src.browse [RUN ...] [--port 8050] [--open]   serve the newest run, or those given
python -m src.browse RUN [RUN ...] --export FOLDER      write the same pages for any web space
"""

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from src.browser.addresses import PORT
from src.browser.choice import chosen_runs
from src.browser.export import export
from src.browser.export_options import add_export_options, export_options
from src.browser.judging import judge_name
from src.browser.opened import open_runs
from src.browser.serving import listen, port, serve
from src.browser.site import Site
from src.browser.views import NAVIGATION
from src.config.validation import path_argument
from src.errors import UserError
from src.io.outputs import Outputs
from src.runtime.streams import print_error, print_lines, run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the pages until Ctrl-C, or write them; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.export is not None:
            return write(options)
        with listen(options.host, options.port) as listening:
            serve(open_site(options), listening, options.host, options.open)
    except (UserError, OSError) as error:
        print_error(error)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m src.browse", description=__doc__)
    parser.add_argument(
        "runs",
        nargs="*",
        type=path_argument,
        metavar="RUN",
        help="folders of finished runs, or of sweeps, of which the best runs are shown"
        " (default: the newest run)",
    )
    parser.add_argument("--port", type=port, default=PORT, help="0 = any free port (default: 8050)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 lets in everybody in the network"
        " (default: 127.0.0.1, this machine alone)",
    )
    parser.add_argument(
        "--judge",
        type=judge_name,
        default="",
        metavar="NAME",
        help="who says yes and no to neighbors, where several people do (default: nobody by name)",
    )
    parser.add_argument("--open", action="store_true", help="open the first page in a web browser")
    parser.add_argument(
        "--outputs",
        type=path_argument,
        default=Path("outputs"),
        help="folder to search for the newest run, and for thumbnails (default: outputs)",
    )
    add_export_options(parser)
    return parser


def write(options: argparse.Namespace) -> int:
    """Write the pages of the runs to a folder; return the exit code."""
    first = export(open_site(options), export_options(options))
    print_lines(f"open {first}")
    if options.open:
        webbrowser.open(first.resolve().as_uri())
    return 0


def open_site(options: argparse.Namespace) -> Site:
    """Return the site of the runs that are named, else of the newest. Raises UserError."""
    folders = chosen_runs(options.runs, options.outputs)
    return Site(open_runs(folders), Outputs(options.outputs), NAVIGATION, judge=options.judge)


if __name__ == "__main__":
    sys.exit(run_command(main))
