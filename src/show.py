"""Look at results.

python -m src.show [PAINTING] [--run FOLDER]     a painting and its neighbors
python -m src.show gallery [FOLDER]              a contact sheet of a gallery or a folder of images
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

from src.errors import UserError, did_you_mean
from src.gallery import Gallery, read_gallery
from src.gallery.folder import list_images
from src.gallery.gallery import with_file_facts
from src.io.files import atomic_write
from src.io.images import Unreadable, load_rgb
from src.reporting import contact_sheets
from src.reporting.run_folder import gallery_of
from src.runtime.progress import progress

THUMBNAILS = 60  # on a gallery's contact sheet


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one picture, print where it is, open it on a desktop; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = parse(words)
        picture = (show_gallery if words[:1] == ["gallery"] else show_painting)(options)
    except (
        UserError,
        OSError,
        EOFError,
        ValueError,
    ) as error:  # the files may have been deleted or damaged
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {picture}")
    desktop = sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY"))
    if desktop and not options.no_open:
        webbrowser.open(picture.resolve().as_uri())
    return 0


def parse(words: list[str]) -> argparse.Namespace:
    """The options of either form."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--outputs", type=Path, default=Path("outputs"), help="where runs are")
    common.add_argument("--out", type=Path, help="the picture's name; default: in outputs")
    common.add_argument("--seed", type=seed, help="of the random choice; default: a new one")
    common.add_argument("--no-open", action="store_true", help="do not open the picture")
    if words[:1] == ["gallery"]:
        parser = argparse.ArgumentParser("python -m src.show gallery", parents=[common])
        parser.add_argument("folder", nargs="?", type=Path, help="default: the newest gallery")
        return parser.parse_args(words[1:])
    parser = argparse.ArgumentParser("python -m src.show", parents=[common])
    parser.add_argument("painting", nargs="?", help="row, file or part of a title; default: any")
    parser.add_argument("--run", type=Path, help="a run's folder; default: the newest")
    return parser.parse_args(words)


def seed(text: str) -> int:
    """A number from 0 up. argparse turns the ValueError into its own message."""
    if int(text) < 0:
        raise ValueError
    return int(text)


def newest(folder: Path, pattern: str, remedy: str) -> Path:
    """The folder of the newest file that matches. Raises UserError when there is none."""
    found = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(f"there is nothing in {folder} yet: {remedy}")
    return found[-1].parent


def show_painting(options: argparse.Namespace) -> Path:
    """A painting and its neighbors, with scores, titles and artists."""
    start = "start one with python -m src.run experiment=demo"
    run = options.run or newest(options.outputs, "*/**/neighbors.npz", start)
    gallery = gallery_of(run)
    with np.load(run / "neighbors.npz") as found:
        index, score = found["index"], found["score"]
    row = find_row(gallery, options.painting) if options.painting else None
    if row is None:
        seed = options.seed if options.seed is not None else secrets.randbelow(10_000)
        row = int(np.random.default_rng(seed).integers(len(gallery)))
        print(f"row {row} of {len(gallery)}, drawn with --seed {seed}")
    nearest = list(zip(index[row].tolist(), score[row].tolist(), strict=True))
    for rank, (other, value) in enumerate(nearest, 1):
        print(f"{rank:>4}  {value:.4f}  row {other:<7} {gallery.caption(other)}")
    header = [f"Row {row} of {len(gallery)}: {gallery.caption(row)}", f"run {run}"]
    cards = [contact_sheets.card(gallery, other, f"{value:.4f}") for other, value in nearest]
    page = contact_sheets.neighbors_page(
        contact_sheets.card(gallery, row, "query", True), cards, header
    )
    return saved(page, options.out or run / f"neighbors-{row}.jpg")


def find_row(gallery: Gallery, text: str) -> int:
    """The row that a number, a file or a part of a file or title names. Raises UserError."""
    if text.isdecimal():
        if int(text) >= len(gallery):
            raise UserError(f"row {text}: rows go from 0 to {len(gallery) - 1}")
        return int(text)
    if text in gallery.files:
        return gallery.files.index(text)
    titles = gallery.works["title"] if "title" in gallery.works else [""] * len(gallery)
    names = [
        f"{file} {title}".casefold() for file, title in zip(gallery.files, titles, strict=True)
    ]
    rows = [row for row, name in enumerate(names) if text.casefold() in name]
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise UserError(
            f"no painting's file or title has {text!r} in it{did_you_mean(text, gallery.files)}"
        )
    some = "; ".join(f"{row}: {gallery.caption(row)}" for row in rows[:5])
    raise UserError(f"{len(rows)} paintings have {text!r} in file or title; by row: {some}")


def show_gallery(options: argparse.Namespace) -> Path:
    """Counts, sizes, unreadable files, and a seeded sample of the images."""
    start = "name a folder of images, or start with python -m src.run experiment=demo"
    folder = options.folder or newest(options.outputs, "galleries/*/works.csv", start)
    gallery = open_gallery(folder)
    broken = unreadable(gallery)
    lines = [*facts(gallery), f"{len(broken)} unreadable"]
    lines += [f"  {file}: {reason}" for file, reason in list(broken.items())[:10]]
    print("\n".join(lines))
    good = [row for row, file in enumerate(gallery.files) if file not in broken]
    draw = np.random.default_rng(options.seed or 0)
    rows = sorted(draw.choice(good, min(THUMBNAILS, len(good)), replace=False).tolist())
    works = gallery.works
    sizes = [f"{works['width'][row]} x {works['height'][row]}" for row in rows]
    cards = [contact_sheets.card(gallery, row, size) for row, size in zip(rows, sizes, strict=True)]
    page = contact_sheets.sheet(cards, 10, 130, lines)
    default = Path(folder if (folder / "works.csv").exists() else options.outputs, "gallery.jpg")
    return saved(page, options.out or default)


def open_gallery(folder: Path) -> Gallery:
    """A gallery's folder, or any folder of images."""
    if (folder / "works.csv").is_file():
        return read_gallery(folder)
    files = sorted(list_images(folder)) if folder.is_dir() else []
    if not files:
        raise UserError(f"{folder} is neither a gallery nor a folder with images in it")
    works = pd.DataFrame({"image_id": files, "file": files}, dtype=object)
    return Gallery(folder.name, folder, with_file_facts(works, folder))


def facts(gallery: Gallery) -> list[str]:
    """How many images, how large, and how many values each label has."""
    lines = [f"{gallery.name}: {len(gallery)} images"]
    for side in ("width", "height"):
        values = sorted(int(value) for value in gallery.works[side] if value)
        if values:
            middle = values[len(values) // 2]
            lines.append(f"{side} {values[0]} to {values[-1]} pixels, median {middle}")
    counts = []
    for column in gallery.label_columns():
        codes = gallery.labels(column)
        unknown = f" ({(codes < 0).sum()} unknown)" if (codes < 0).any() else ""
        counts.append(f"{column} {codes.max() + 1}{unknown}")
    return [lines[0], "; ".join(lines[1:]), *([f"values: {', '.join(counts)}"] if counts else [])]


def unreadable(gallery: Gallery) -> dict[str, str]:
    """Every file that cannot be decoded whole, and why."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = pool.map(why_unreadable, (gallery.root / file for file in gallery.files))
        shown = progress(reasons, "reading", len(gallery), " images")
        return {file: why for file, why in zip(gallery.files, shown, strict=True) if why}


def why_unreadable(path: Path) -> str:
    """The reason that a file cannot be decoded, "" for one that can."""
    try:
        load_rgb(path, contact_sheets.MAX_PIXELS)
    except Unreadable as reason:
        return str(reason)
    return ""


def saved(page: Image.Image, path: Path) -> Path:
    """Write a picture whole."""
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise UserError(f"--out {path} must end in .jpg or .png")
    with atomic_write(path) as part:
        page.save(part, "PNG" if path.suffix.lower() == ".png" else "JPEG", quality=90)
    return path


if __name__ == "__main__":
    sys.exit(main())
