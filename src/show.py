"""Show results as pictures.

python -m src.show [PAINTING] [--run FOLDER]     a painting and its neighbors
python -m src.show gallery [FOLDER]              a contact sheet of a gallery or a folder of images
python -m src.show -- PAINTING                   one that begins with a dash or is called gallery
"""

import argparse
import os
import secrets
import sys
import webbrowser
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from src.config.validation import path_argument
from src.errors import UserError
from src.gallery import Gallery, read_gallery
from src.gallery.folder import list_images
from src.gallery.gallery import with_file_facts
from src.gallery.search import find_row
from src.io.files import atomic_write
from src.io.images import load_rgb
from src.io.outputs import Outputs
from src.io.unreadable import Unreadable
from src.reporting import contact_sheets
from src.reporting.run_folder import NEIGHBORS, RunFolder
from src.runtime.progress import progress
from src.runtime.streams import print_error, print_lines, run_command

THUMBNAILS = 60  # on the contact sheet of a gallery


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one picture, print its path, open it on a desktop; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = parse(words)
        picture = (show_gallery if words[:1] == ["gallery"] else show_painting)(options)
    except (UserError, OSError, EOFError, ValueError) as error:  # damaged files raise the last two
        print_error(error)
        return 2
    print_lines(f"wrote {picture}")
    desktop = sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY"))
    if desktop and not options.no_open:
        webbrowser.open(picture.resolve().as_uri())
    return 0


def parse(words: list[str]) -> argparse.Namespace:
    """Parse the options of either form."""
    if words[:1] == ["gallery"]:
        return _parse_gallery(words[1:])
    parser = argparse.ArgumentParser(
        "python -m src.show",
        description="Show a painting and its neighbors. For the whole collection:"
        " python -m src.show gallery",
        parents=[_common_options()],
    )
    parser.add_argument(
        "painting",
        nargs="?",
        help="row, file or part of a title (default: a random painting); after -- if it begins with"
        " a dash or is called gallery",
    )
    parser.add_argument(
        "--run", type=path_argument, help="folder of a run (default: the newest run)"
    )
    options, unknown = parser.parse_known_args(words)
    if options.painting is None and len(unknown) == 1 and not unknown[0].startswith("--"):
        options.painting = unknown[0]  # the name of a file that begins with a dash
    elif unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


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
        help="a gallery or a folder of images (default: the newest gallery)",
    )
    return parser.parse_args(words)


def _common_options() -> argparse.ArgumentParser:
    """Return the options of both forms."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--outputs",
        type=path_argument,
        default=Path("outputs"),
        help="folder to search for the newest results (default: outputs)",
    )
    common.add_argument(
        "--out",
        type=path_argument,
        help="path of the picture, .jpg or .png (default: beside the results)",
    )
    common.add_argument("--seed", type=seed, help="seed of the random choice")
    common.add_argument("--no-open", action="store_true", help="do not open the picture")
    return common


def seed(text: str) -> int:
    """Return text as an integer. argparse reports the ValueError of a negative number."""
    if int(text) < 0:
        raise ValueError
    return int(text)


def newest(folder: Path, pattern: str, remedy: str) -> Path:
    """Return the folder of the newest file that matches. Raises UserError if there is none."""
    files = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    if not files:
        raise UserError(f"there is nothing in {folder} yet: {remedy}")
    return files[-1].parent


def show_painting(options: argparse.Namespace) -> Path:
    """Show a painting and its neighbors, with scores, titles and artists."""
    remedy = "start a run with python -m src.run experiment=demo"
    run = options.run or newest(options.outputs, f"*/**/{NEIGHBORS}", remedy)
    files = RunFolder(run)
    gallery, (index, score) = files.gallery(), files.neighbors()
    row = find_row(gallery, options.painting) if options.painting else None
    if row is None:
        seed = options.seed if options.seed is not None else secrets.randbelow(10_000)
        row = int(np.random.default_rng(seed).integers(len(gallery)))
        print_lines(f"row {row} of {len(gallery)}, drawn with --seed {seed}")
    nearest = list(zip(index[row].tolist(), score[row].tolist(), strict=True))
    for rank, (neighbor, value) in enumerate(nearest, 1):
        caption = gallery.caption(neighbor)
        print_lines(f"{rank:>4}  {value:.4f}  row {neighbor:<7} {caption}")
    header = [f"Row {row} of {len(gallery)}: {gallery.caption(row)}", f"run {run}"]
    cards = [contact_sheets.card(gallery, neighbor, f"{value:.4f}") for neighbor, value in nearest]
    query = contact_sheets.card(gallery, row, "query", True)
    page = contact_sheets.neighbors_page(query, cards, header)
    return save_picture(page, options.out or files.neighbors_picture(row))


def show_gallery(options: argparse.Namespace) -> Path:
    """Show counts, sizes, unreadable files, and a seeded sample of the images."""
    remedy = "give a folder of images, or start with python -m src.run experiment=demo"
    folder = options.folder or newest(Outputs(options.outputs).galleries, "*/works.csv", remedy)
    gallery = open_gallery(folder, options.outputs)
    broken = unreadable(gallery)
    lines = [*facts(gallery), f"{len(broken)} unreadable"]
    lines += [f"  {file}: {reason}" for file, reason in list(broken.items())[:10]]
    print_lines(*lines)
    readable = [row for row, file in enumerate(gallery.files) if file not in broken]
    rng = np.random.default_rng(options.seed or 0)
    rows = sorted(rng.choice(readable, min(THUMBNAILS, len(readable)), replace=False).tolist())
    works = gallery.works
    sizes = [f"{works['width'][row]} x {works['height'][row]}" for row in rows]
    cards = [contact_sheets.card(gallery, row, size) for row, size in zip(rows, sizes, strict=True)]
    page = contact_sheets.sheet(cards, 10, 130, lines)
    default = Path(folder if (folder / "works.csv").exists() else options.outputs, "gallery.jpg")
    return save_picture(page, options.out or default)


def open_gallery(folder: Path, outputs: Path) -> Gallery:
    """Return the gallery of a gallery's folder, or of any folder of images except outputs in it.

    Raises UserError if it is neither.
    """
    if (folder / "works.csv").is_file():
        return read_gallery(folder)
    files = list_images(folder, outputs) if folder.is_dir() else []
    if not files:
        raise UserError(f"{folder} is neither a gallery nor a folder with images in it")
    works = pd.DataFrame({"image_id": files, "file": files}, dtype=object)
    return Gallery(folder.name, folder, with_file_facts(works, folder))


def facts(gallery: Gallery) -> list[str]:
    """Return lines of text: number of images, their sizes, number of values of each label."""
    lines = [f"{gallery.name}: {len(gallery)} images"]
    for side in ("width", "height"):
        values = sorted(int(value) for value in gallery.works[side] if value)
        if values:
            median = values[len(values) // 2]
            lines.append(f"{side} {values[0]} to {values[-1]} pixels, median {median}")
    counts = []
    for column in gallery.label_columns():
        codes = gallery.labels(column)
        unknown = f" ({(codes < 0).sum()} unknown)" if (codes < 0).any() else ""
        counts.append(f"{column} {codes.max() + 1}{unknown}")
    return [lines[0], "; ".join(lines[1:]), *([f"values: {', '.join(counts)}"] if counts else [])]


def unreadable(gallery: Gallery) -> dict[str, str]:
    """Return the files that cannot be decoded completely, with the reason."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = pool.map(decode_error, (gallery.root / file for file in gallery.files))
        shown = progress(reasons, "reading", len(gallery), " images")
        return {file: reason for file, reason in zip(gallery.files, shown, strict=True) if reason}


def decode_error(path: Path) -> str:
    """Return why a file cannot be decoded, "" if it can."""
    try:
        load_rgb(path, contact_sheets.MAX_PIXELS)
    except Unreadable as reason:
        return str(reason)
    return ""


def save_picture(page: Image.Image, path: Path) -> Path:
    """Write a picture as JPEG or PNG and return path. Raises UserError for another suffix."""
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise UserError(f"--out must end in .jpg or .png, got {path}")
    with atomic_write(path) as part:
        page.save(part, "PNG" if path.suffix.lower() == ".png" else "JPEG", quality=90)
    return path


if __name__ == "__main__":
    sys.exit(run_command(main))
