"""Look at runs in a web browser: paintings, their neighbors, maps, comparisons of runs.

python -m src.browse [RUN ...] [--port 8050] [--open]   serve the newest run, or those given
python -m src.browse RUN [RUN ...] --export FOLDER      write the same pages for any web space
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from src.browser.opened import open_runs
from src.browser.site import Site
from src.browser.views import NAVIGATION
from src.errors import UserError
from src.io.outputs import Outputs
from src.reporting.newest import newest
from src.reporting.run_folder import NEIGHBORS
from src.runtime.streams import print_error, print_lines, run_command

PORT = 8050


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the pages until Ctrl-C, or write them; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        site = open_site(options)
        serve(site, options)
    except (UserError, OSError) as error:
        print_error(error)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m src.browse", description=__doc__)
    parser.add_argument(
        "runs", nargs="*", type=Path, metavar="RUN", help="folders of finished runs"
    )
    parser.add_argument("--port", type=int, default=PORT, help="port of the server (8050)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--open", action="store_true", help="open the first page in a web browser")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of runs")
    return parser


def open_site(options: argparse.Namespace) -> Site:
    """Return the site of the runs that are named, else of the newest. Raises UserError."""
    remedy = "start a run with python -m src.run experiment=demo"
    folders = options.runs or [newest(options.outputs, f"*/**/{NEIGHBORS}", remedy)]
    return Site(open_runs(folders), Outputs(options.outputs), NAVIGATION)


def serve(site: Site, options: argparse.Namespace) -> None:
    """Serve a site until Ctrl-C."""
    import uvicorn

    from src.browser.server import application

    print_lines(f"serving {len(site.runs)} runs on http://{options.host}:{options.port}/")
    uvicorn.run(application(site), host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    sys.exit(run_command(main))
