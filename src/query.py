"""Find the paintings of a run that are nearest to any image, which need not be one of its own.

python -m src.query IMAGE [MORE | FOLDER] [--run RUN] [--k 20] [--json]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from src.config.validation import path_argument
from src.errors import UserError
from src.runtime.streams import print_error, run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table and write a picture for each image; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        for path in options.images:
            if not path.exists():
                raise UserError(f"{path} does not exist: give an image or a folder of images")
    except (UserError, OSError) as error:
        print_error(error)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m src.query", description=__doc__)
    parser.add_argument("images", nargs="+", type=path_argument, metavar="IMAGE")
    parser.add_argument("--outputs", type=path_argument, default=Path("outputs"))
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
