"""Show results as pictures, or for other programs.

python -m src.show [PAINTING] [--run FOLDER]     a painting and its neighbors
python -m src.show [PAINTING] --iiif             the same as a IIIF manifest
python -m src.show gallery [FOLDER]              a contact sheet of a gallery or a folder of images
python -m src.show -- PAINTING                   one that begins with a dash or is called gallery
"""

import argparse
import os
import secrets
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.cli.show_options import manifest_path, parse, picture_path
from src.errors import UserError
from src.gallery import Gallery
from src.gallery.inspection import facts, is_open_access, open_gallery, unreadable
from src.gallery.search import find_row, find_rows, is_row, not_found
from src.io.files import atomic_write
from src.io.outputs import Outputs
from src.reporting import contact_sheets
from src.reporting.comparison_files import NEIGHBORS
from src.reporting.iiif_manifest import manifest_text
from src.reporting.neighbor_list import neighbor_list
from src.reporting.newest import newest
from src.reporting.page_files import JPEG, save_page
from src.reporting.pages import PRINT_DPI, SCREEN_DPI
from src.reporting.phrases import cite, name_collection
from src.reporting.run_folder import RunFolder
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
    if picture is None:
        return 0
    print_lines(f"wrote {picture}")
    desktop = sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY"))
    if desktop and not options.no_open:
        webbrowser.open(picture.resolve().as_uri())
    return 0


def show_painting(options: argparse.Namespace) -> Path | None:
    """Show a painting and its neighbors; with --all, list paintings and write no picture."""
    remedy = "start a run with python -m src.run experiment=demo"
    run = RunFolder(options.run or newest(options.outputs, f"*/**/{NEIGHBORS}", remedy))
    if options.iiif and not options.all:
        write_manifest(options, run)
        return None
    gallery = run.gallery()
    if options.all:
        list_paintings(gallery, options.painting)
        return None
    row = chosen_row(gallery, options)
    path = picture_path(options, run.neighbors_picture(row))
    shown = neighbor_list(run, gallery, row)
    print_lines(*shown.lines())
    save_page(shown.page(resolution(options, path)), path, shown.about.title)
    return path


def write_manifest(options: argparse.Namespace, folder: RunFolder) -> None:
    """Write the IIIF manifest of a painting and its neighbors; print where, and by what address.

    Raises UserError.
    """
    # they load Hydra, for which a picture need not wait
    from src.browser.manifest import written_manifest
    from src.browser.opened import open_runs

    run = open_runs([folder.path])[0]
    row = chosen_row(run.gallery, options)
    path = manifest_path(options, folder.manifest(row))
    manifest = written_manifest(run, row, options.k, options.base_url, path.name)
    with atomic_write(path) as part:
        part.write_text(manifest_text(manifest), "utf-8")
    print_lines(manifest["label"]["en"][0], f"wrote {path}", f"its address: {manifest['id']}")
    if not options.base_url:
        print_lines(f"python -m src.browse {folder.path} has it there; --base-url: anywhere else")


def list_paintings(gallery: Gallery, text: str | None) -> None:
    """Print every painting that has text in it. Raises UserError if none has, or without text."""
    if text is None:
        raise UserError("--all needs what to search for, as in python -m src.show --all sea")
    rows = find_rows(gallery, text)
    if not rows:
        raise UserError(not_found(gallery, text))
    for row in rows:
        file, caption = gallery.files[row], gallery.caption(row)
        print_lines(f"row {row:<7} {caption}" + (f"  {file}" if caption != file else ""))
    print_lines(f"{len(rows)} of {len(gallery)} paintings have {text!r} in file or caption")


def chosen_row(gallery: Gallery, options: argparse.Namespace) -> int:
    """Return the row that is asked for, else a random one, and say how it was chosen."""
    text = options.painting
    if text is None:
        seed = options.seed if options.seed is not None else secrets.randbelow(10_000)
        row = int(np.random.default_rng(seed).integers(len(gallery)))
        print_lines(f"row {row} of {len(gallery)}, drawn with --seed {seed}")
        return row
    row = find_row(gallery, text)
    if text.isdecimal() and not is_row(gallery, text):
        print_lines(f"rows are 0 to {len(gallery) - 1}, so {text} was searched as a name")
    return row


def show_gallery(options: argparse.Namespace) -> Path:
    """Show counts, sizes, unreadable files, and a seeded sample of the images."""
    remedy = "give a folder of images, or start with python -m src.run experiment=demo"
    folder = options.folder or newest(Outputs(options.outputs).galleries, "*/works.csv", remedy)
    default = Path(folder if (folder / "works.csv").exists() else options.outputs, "gallery.jpg")
    path = picture_path(options, default)
    gallery = open_gallery(folder, options.outputs)
    broken = unreadable(gallery) if gallery.has_pictures else {}
    found = f"{len(broken)} unreadable" if gallery.has_pictures else "no pictures"
    title, *lines = [*facts(gallery), found]
    lines += [f"  {file}: {reason}" for file, reason in list(broken.items())[:10]]
    print_lines(title, *lines)
    readable = [row for row, file in enumerate(gallery.files) if file not in broken]
    rng = np.random.default_rng(options.seed or 0)
    rows = sorted(rng.choice(readable, min(THUMBNAILS, len(readable)), replace=False).tolist())
    works = gallery.works
    sides = [(works["width"][row], works["height"][row]) for row in rows]
    sizes = [f"{width} x {height}" if width and height else "" for width, height in sides]
    cards = [contact_sheets.card(gallery, row, size) for row, size in zip(rows, sizes, strict=True)]
    is_open = is_open_access(folder)
    heading = f"{name_collection(gallery, is_open)}, {len(gallery)} images"
    about = contact_sheets.About(heading, lines, source=cite(gallery, is_open))
    page = contact_sheets.sheet(cards, 10, 130, about, resolution(options, path))
    save_page(page, path, heading)
    return path


def resolution(options: argparse.Namespace, path: Path) -> int:
    """Return --dpi, else that of the screen for JPEG and that of print for other pictures."""
    default = SCREEN_DPI if path.suffix.lower() in JPEG else PRINT_DPI
    return int(options.dpi or default)


if __name__ == "__main__":
    sys.exit(run_command(main))
