"""The options of python -m src.show, in both of its forms."""

import argparse
from pathlib import Path

from src.browser.addresses import HERE
from src.config.addresses import as_uri
from src.config.validation import path_argument
from src.errors import UserError
from src.reporting.iiif_manifest import MOST_CANVASES, MOST_NEIGHBORS

FORMATS = ("jpg", "png", "pdf")
MIN_DPI, MAX_DPI = 36, 1200
USAGE = """python -m src.show [PAINTING] [--run FOLDER] [option ...]
       python -m src.show gallery [FOLDER] [option ...]"""
EXAMPLES = """examples:
  python -m src.show                          a random painting and its neighbors
  python -m src.show 45                       the painting in row 45
  python -m src.show "girl with a flute"      by part of its file, title, artist or date
  python -m src.show my/paintings/flute.jpg   by its path
  python -m src.show --all sea                every painting with that word, as a list
  python -m src.show 45 --format pdf          a figure for print: text and images of 300 dpi
  python -m src.show 45 --iiif                a IIIF manifest, for viewers and other programs
  python -m src.show gallery                  the newest collection: counts, sizes, a sample
  python -m src.show gallery my/paintings     any folder of images
  python -m src.show -- -1.jpg                a name that begins with a dash, or is gallery"""


def parse(words: list[str]) -> argparse.Namespace:
    """Parse the options of either form."""
    if words[:1] == ["gallery"]:
        return _parse_gallery(words[1:])
    parser = argparse.ArgumentParser(
        usage=USAGE,
        description="Show a painting and its neighbors, or (gallery) a whole collection.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common_options()],
    )
    parser.add_argument(
        "painting",
        nargs="?",
        metavar="PAINTING",
        help="row, path, or part of file, title, artist or date (default: a random painting)",
    )
    parser.add_argument(
        "--run", type=path_argument, metavar="FOLDER", help="a run (default: the newest)"
    )
    parser.add_argument(
        "--all", action="store_true", help="list every painting that PAINTING may mean"
    )
    _add_manifest_options(parser)
    options, unknown = parser.parse_known_args(words)
    if options.painting is None and len(unknown) == 1 and not unknown[0].startswith("--"):
        options.painting = unknown[0]  # the name of a file that begins with a dash
    elif unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    _check_manifest_options(options)
    return options


def _check_manifest_options(options: argparse.Namespace) -> None:
    """Raise UserError for options that do not go together, or more canvases than there may be."""
    if not options.iiif:
        if options.k is not None or options.base_url:
            raise UserError("-k and --base-url are for a manifest: give --iiif, too")
        return
    if options.format or options.dpi:
        raise UserError("--iiif writes JSON: leave out --format and --dpi, which are for pictures")
    if options.k is not None and not 1 <= options.k <= MOST_NEIGHBORS:
        raise UserError(
            f"-k must be between 1 and {MOST_NEIGHBORS}, got {options.k}: a manifest has up to"
            f" {MOST_CANVASES} canvases, of which one is the painting itself"
        )


def _add_manifest_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of --iiif."""
    group = parser.add_argument_group(
        "IIIF", "a manifest of the Presentation API 3 with a canvas for each image, as JSON"
    )
    group.add_argument("--iiif", action="store_true", help="write it in place of a picture")
    group.add_argument(
        "-k",
        type=int,
        metavar="N",
        help=f"neighbors, 1 to {MOST_NEIGHBORS} (default: as many as the run has kept)",
    )
    group.add_argument(
        "--base-url",
        type=base_url,
        metavar="URL",
        help="where you publish the manifest, and the images that are on the web nowhere else, by"
        f" their paths in their folder (default: as python -m src.browse does, {HERE})",
    )


def _parse_gallery(words: list[str]) -> argparse.Namespace:
    """Parse the options after the word gallery."""
    parser = argparse.ArgumentParser(
        "python -m src.show gallery",
        description="Show a contact sheet: counts, sizes, unreadable files, sampled images.",
        parents=[_common_options()],
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=path_argument,
        metavar="FOLDER",
        help="a gallery or a folder of images (default: the newest gallery)",
    )
    return parser.parse_args(words)


def _common_options() -> argparse.ArgumentParser:
    """Return the options of both forms."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--outputs",
        type=path_argument,
        metavar="FOLDER",
        default=Path("outputs"),
        help="where to look for the newest results (default: outputs)",
    )
    common.add_argument(
        "--out",
        type=path_argument,
        metavar="FILE",
        help="path of the picture, .jpg, .png or .pdf, or with --iiif of a .json file (default:"
        " beside the results)",
    )
    common.add_argument("--format", choices=FORMATS, help="of the picture (default: jpg)")
    common.add_argument(
        "--dpi",
        type=dpi,
        metavar="N",
        help=f"pixels of an inch, {MIN_DPI} to {MAX_DPI} (default: 144 for jpg, else 300)",
    )
    common.add_argument("--seed", type=seed, metavar="N", help="seed of the random choice")
    common.add_argument("--no-open", action="store_true", help="do not open the picture")
    return common


def base_url(text: str) -> str:
    """Return the address of a folder on the web, without a slash at its end.

    argparse reports the ArgumentTypeError of any other text.
    """
    address = as_uri(text)
    if not address or "?" in text or "#" in text:
        raise argparse.ArgumentTypeError(
            f"give the http(s) address of a folder, without user, ? and #, got {text!r}"
        )
    return address.rstrip("/")


def seed(text: str) -> int:
    """Return text as an integer. argparse reports the ValueError of a negative number."""
    if int(text) < 0:
        raise ValueError
    return int(text)


def dpi(text: str) -> int:
    """Return text as a resolution. argparse reports the ValueError of one out of bounds."""
    if not MIN_DPI <= int(text) <= MAX_DPI:
        raise argparse.ArgumentTypeError(f"must be between {MIN_DPI} and {MAX_DPI}, got {text}")
    return int(text)


def picture_path(options: argparse.Namespace, default: Path) -> Path:
    """Return where to write: --out, else default with the suffix of --format.

    Raises UserError if --out is no picture, or not one of --format.
    """
    if options.out is None:
        return default.with_suffix(f".{options.format or 'jpg'}")
    path = Path(options.out)
    kind = path.suffix.lower().removeprefix(".").replace("jpeg", "jpg")
    if kind not in FORMATS:
        raise UserError(f"--out must end in .jpg, .png or .pdf, got {path}")
    if kind != (options.format or kind):
        raise UserError(f"--out {path} is not of --format {options.format}: give one of the two")
    return path


def manifest_path(options: argparse.Namespace, default: Path) -> Path:
    """Return where to write a manifest: --out, else default. Raises UserError if it cannot be."""
    path = Path(options.out or default)
    if path.suffix.lower() != ".json" or path.is_dir():
        problem = "is a folder" if path.is_dir() else "does not end in .json"
        raise UserError(f"--out {path} {problem}: with --iiif, give the path of a .json file")
    return path
