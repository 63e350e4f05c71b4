"""The options of an export on the command line."""

import argparse

from src.browser.export_plan import MAX_GB, PICTURE, Export
from src.browser.pictures import SMALL
from src.config.validation import path_argument


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of an export to those of a command."""
    group = parser.add_argument_group("export")
    group.add_argument(
        "--export",
        type=path_argument,
        metavar="FOLDER",
        help="write the pages to FOLDER instead of serving them; an earlier export in it is"
        " replaced, one that was interrupted goes on",
    )
    group.add_argument(
        "--limit", type=int, metavar="N", help="pages of a random sample of N images (default: all)"
    )
    group.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    group.add_argument(
        "--thumbnail",
        type=int,
        default=SMALL,
        metavar="PIXELS",
        help=f"longer side of small pictures (default: {SMALL})",
    )
    group.add_argument(
        "--picture",
        type=int,
        default=PICTURE,
        metavar="PIXELS",
        help=f"longer side of large pictures; 0 = only small ones (default: {PICTURE})",
    )
    group.add_argument(
        "--max-gb",
        type=float,
        default=MAX_GB,
        metavar="GB",
        help=f"do not begin an export that would be larger than this (default: {MAX_GB:g})",
    )


def export_options(options: argparse.Namespace) -> Export:
    """Return the options of an export. Raises UserError for a value out of bounds."""
    return Export(
        options.export,
        options.limit,
        options.thumbnail,
        options.picture,
        options.max_gb,
        options.seed,
    )
