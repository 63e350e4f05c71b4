"""Find the images of a run that are nearest to any image, which need not be one of its own.

python -m src.query IMAGE [MORE | FOLDER] [--run RUN] [--k 20] [--json]
"""

import argparse
import os
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from src.browser.choice import newest_run
from src.browser.opened import OpenRun, open_runs
from src.browser.run_network import open_network
from src.browser.run_search import run_search
from src.config.validation import path_argument
from src.embedding.queries import QueryEmbedder, embed_files
from src.errors import UserError
from src.gallery.folder import list_images
from src.io.outputs import Outputs
from src.io.printable import printable
from src.reporting.page_files import save_page
from src.reporting.query_answer import QueryAnswer, picture_name, query_answer
from src.reporting.terminal import from_here
from src.runtime.progress import progress
from src.runtime.streams import print_error, print_lines, run_command

DEFAULT_K = 20
TOGETHER = 64  # queries that are compared at once
EXAMPLES = """examples:
  python -m src.query my/flute.jpg                     its 20 nearest in the newest run
  python -m src.query my/photos --k 5 --json           a line of JSON for each image of a folder
  python -m src.query my/flute.jpg --run outputs/runs/2026-01-01/12-00-00-000000"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table and write a picture for each image; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        answer(options)
    except (UserError, OSError, EOFError, ValueError) as error:  # damaged files raise the last two
        print_error(error)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m src.query",
        description="Find the images of a run that are nearest to any image, embedded by the same"
        " network and settings. Images that cannot be read are named and left out.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        *("images",),
        nargs="+",
        type=path_argument,
        metavar="IMAGE",
        help="files, or folders of images with their subfolders",
    )
    parser.add_argument(
        "--run", type=path_argument, metavar="FOLDER", help="a run (default: the newest)"
    )
    parser.add_argument(
        "--k", type=int, metavar="N", help=f"neighbors of each image (default: {DEFAULT_K})"
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON object a line, in place of tables"
    )
    parser.add_argument("--no-open", action="store_true", help="do not open the picture")
    parser.add_argument(
        "--no-pictures", action="store_true", help="write none, which is faster for large folders"
    )
    parser.add_argument(
        "--outputs",
        type=path_argument,
        metavar="FOLDER",
        default=Path("outputs"),
        help="where to look for the newest run (default: outputs)",
    )
    return parser


def answer(options: argparse.Namespace) -> None:
    """Answer for every image in turn. Raises UserError, also if no image can be read."""
    paths = image_files(options.images, options.outputs)
    (run,) = open_runs([options.run or newest_run(options.outputs)])
    k = min(DEFAULT_K, len(run)) if options.k is None else options.k
    if not 1 <= k <= len(run):
        raise UserError(f"--k must be between 1 and {len(run)}, got {k}")
    network, taken = open_network(run.files, Outputs(options.outputs)), set[str]()
    shown, written, is_drawn = None, list[str](), not options.no_pictures
    for path, neighbors in _answers(run, network, paths, k):
        shown = query_answer(run.files, run.gallery, path, neighbors)
        if is_drawn:
            picture = run.files.path / picture_name(path, taken)
            is_drawn = _is_written(shown, picture)
        written = [f"wrote {from_here(picture)}"] if is_drawn else []
        with tqdm.external_write_mode():  # the progress bar is out of the way
            if options.json:
                print(shown.as_json(run.files.path), flush=True)
            else:
                print_lines(*shown.lines(), *written, "")
    if shown is None:
        raise UserError(f"none of the {len(paths)} images can be read")
    if written and len(paths) == 1 and not options.no_open and _has_desktop():
        webbrowser.open(picture.resolve().as_uri())


def _is_written(shown: QueryAnswer, picture: Path) -> bool:
    """Write the picture of an answer; return whether that succeeded, and warn if not."""
    page = shown.page()
    try:
        save_page(page, picture, shown.about.title)
    except OSError as error:
        reason = f"no picture can be written to {from_here(picture.parent)}: {error.strerror}"
        with tqdm.external_write_mode():
            text = f"warning: {reason}; --no-pictures asks for none"
            print(printable(text), file=sys.stderr)
        return False
    return True


def image_files(given: Sequence[Path], outputs: Path) -> list[Path]:
    """Return the files, and the images in the folders, each once. Raises UserError."""
    found = list[Path]()
    for path in given:
        if path.is_dir():
            inside = list_images(path, outputs)
            if not inside:
                raise UserError(f"{path} holds no image")
            found += [path / name for name in inside]
        elif path.exists():
            found.append(path)
        else:
            raise UserError(f"{path} does not exist: give an image or a folder of images")
    return list(dict.fromkeys(found))


def _answers(
    run: OpenRun, network: QueryEmbedder, paths: list[Path], k: int
) -> Iterator[tuple[Path, list[tuple[int, float]]]]:
    """Yield each image with its neighbors, best first; name those that cannot be read."""
    readable = _readable(network, paths)
    while together := list(islice(readable, TOGETHER)):
        import torch

        rows = torch.from_numpy(np.stack([row for _, row in together]))
        index, score = run_search(run).nearest(rows, k)
        for (path, _), rows_of, scores in zip(together, index, score, strict=True):
            yield path, list(zip(rows_of.tolist(), scores.tolist(), strict=True))


def _readable(
    network: QueryEmbedder, paths: list[Path]
) -> Iterator[tuple[Path, NDArray[np.float32]]]:
    """Yield each image that can be read with its features; name the others on stderr."""
    watch = partial(progress, unit=" images")
    for path, row in embed_files(network, paths, watch):
        if isinstance(row, str):
            with tqdm.external_write_mode():
                print(printable(f"skipped {path}: {row}"), file=sys.stderr)
        else:
            yield path, row


def _has_desktop() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY"))


if __name__ == "__main__":
    sys.exit(run_command(main))
