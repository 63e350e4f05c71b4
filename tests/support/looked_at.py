"""A collection with all that makes pages break, three finished runs over it, and their export."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from src.config.enums import Postprocess, RankedBy
from src.io.files import folder_lock
from tests.support.made_runs import write_multirun
from tests.support.options import changed, small, store

N = 108  # images, more than a page of the gallery has
EVIL = "</script><script>evil()</script>\"'><img src=x onerror=evil()>"
EVIL_SCHOOL = "<b onclick=\"evil()\">School</b> & 'others'"
EVIL_FILE = "015 <script>evil()<b>\"'.png"
LONG = f"A very long title {'about a ship and its crew ' * 20}{'unbroken' * 30}"
JAPANESE, ARABIC, CYRILLIC = "神奈川沖浪裏", "النيل عند الأقصر", "Утро в сосновом лесу"
# Rows by what is special about them
LONG_ROW, JAPANESE_ROW, ARABIC_ROW, CYRILLIC_ROW, EVIL_ROW, WIDE_ROW, TALL_ROW = range(7)
COPIES, NEAR_ROW, GONE_ROW, BARE_ROW, EVIL_FILE_ROW = (7, 8), 9, 10, 12, 15
SPECIAL = dict(enumerate((LONG, JAPANESE, ARABIC, CYRILLIC, EVIL)))
ARTISTS = (
    "Élise Müller",
    "Ada Bright",
    "佐藤 花子",
    "Иван Шишкин",
    "محمود سعيد",
    "Jan van der Meer",
)
SCHOOLS = ("French", "Dutch", EVIL_SCHOOL)
SUBJECTS = ("Château at dusk", "Harbor with boats", "Crucifixion", "Still life with lemons")
STYLES = ("Baroque", "Realism", "Rococo", "Ukiyo-e", "Impressionism")
SKIPPED = "999 broken.jpg"
JOBS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("layer1", {"top_k": 10}),
    ("layer2", {"top_k": 3}),  # so short that some images are in no list
    ("layer2", {"top_k": 10, "postprocess": Postprocess.whiten, "ranking": RankedBy.csls}),
)


@dataclass(frozen=True)
class LookedAt:
    """Where the runs and their export are."""

    runs: list[Path]
    exported: Path  # with a blank and a letter that is not ASCII in its name


def title(row: int) -> str:
    """Return the title of an image, "" if it has none."""
    return SPECIAL.get(row, "" if row == BARE_ROW else f"{SUBJECTS[row % 4]} {row}")


def artist(row: int) -> str:
    """Return the artist of an image, "" if unknown."""
    return "" if row == BARE_ROW or row % 17 == 16 else ARTISTS[row % 6]


def school(row: int) -> str:
    """Return the school of an image, "" if unknown."""
    return SCHOOLS[row % 3] if row % 5 and row != BARE_ROW else ""


def file_name(row: int) -> str:
    """Return the name of an image's file; they sort by row."""
    return EVIL_FILE if row == EVIL_FILE_ROW else f"{row:03d}.png"


def write_labels(path: Path) -> None:
    """Write the table of titles and labels."""
    rows = [row for row in range(N) if row != BARE_ROW]
    table = {
        "file": [file_name(row) for row in rows],
        "title": [title(row) for row in rows],
        "artist": [artist(row) for row in rows],
        "date": [f"{1600 + row}" for row in rows],
        "school": [school(row) for row in rows],
        "style": [STYLES[row % 5] if row % 7 else "" for row in rows],
        "object_id": [f"{row // 2}" for row in rows],
        "page": [f"https://museum.example/{row}" if row % 2 else "" for row in rows],
    }
    pd.DataFrame(table).to_csv(path, index=False)


def draw_images(folder: Path) -> None:
    """Draw the images: each artist has a color, each subject a shape."""
    folder.mkdir(exist_ok=True)  # what another worker has begun, and failed
    for row in range(N):
        draw = np.random.default_rng(row)
        size = {WIDE_ROW: (30, 900), TALL_ROW: (900, 30)}.get(row, (90 + row % 30, 110))
        base = np.array([(row % 6) * 40 + 20, (row % 4) * 60 + 20, 200 - (row % 6) * 30])
        pixels = base + draw.integers(-50, 50, (*size, 3))
        pixels[:: 4 + row % 4, :: 3 + row % 6] += 60
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        image.save(folder / file_name(row), compress_level=1)
    first, second = (folder / file_name(row) for row in COPIES)
    second.write_bytes(first.read_bytes())
    with Image.open(first) as image:
        image.resize((image.width * 2, image.height * 2)).save(folder / file_name(NEAR_ROW))
    (folder / SKIPPED).write_text("this is no image")


def make(folder: Path) -> LookedAt:
    """Return the runs and the export below a folder, made unless they are there."""
    sweep = folder / "outputs" / "sweeps" / "2026-01-01" / "12-00-00"
    found = LookedAt([sweep / str(job) for job in range(3)], folder / "Meine Bilder é")
    with folder_lock(folder):
        if not (found.exported / "index.html").exists():
            _make(folder, found)
    return found


def _make(folder: Path, found: LookedAt) -> None:
    from src.browse import main
    from src.run import run

    images, labels = folder / "images", folder / "labels.csv"
    draw_images(images)
    write_labels(labels)
    cfg = changed(small(images, folder / "outputs"), "data", labels=str(labels))
    for path, (layer, options) in zip(found.runs, JOBS, strict=True):
        path.mkdir(parents=True, exist_ok=True)
        job = changed(cfg, "backbone", layer=layer, layers=["layer1", "layer2"])
        job = changed(job, "similarity", **options)
        store(job, path)
        run(job, path)
    write_multirun(found.runs[0].parent, None, [])
    (images / file_name(GONE_ROW)).unlink()
    words = [*map(str, found.runs), "--export", str(found.exported), "--outputs", str(folder / "o")]
    assert main(words) == 0


def picture(path: Path, seed: int) -> Path:
    """Draw an image that is not of the collection."""
    red, green, blue = np.random.default_rng(seed).integers(0, 256, 3).tolist()
    image = Image.new("RGB", (80, 60), (red, green, blue))
    image.paste((blue, red, green), (10, 10, 40, 40))
    image.save(path)
    return path
