"""A gallery as that of the National Gallery of Art, of real rows or of invented ones."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from src.gallery import Gallery
from src.gallery.museum import PAGE
from src.gallery.rights import CC0
from src.reporting.iiif_images import fitted
from tests.support.nga_rows import EVERYTHING, catalog, museum, role, write

NAME = "nga-0123456789ab"
INVENTED = [
    *("title", "artist", "all_artists", "date", "school", "wikidata", "iiif_width", "iiif_height"),
    *("width", "height", "rights", "assistive_text"),
]
ROWS = [
    ("A ship", "Ann", "Ann; Bob", "1635", "Dutch", "Q1", "8000", "6000", "256", "192", CC0, "Sea"),
    ("A tree", "Ann", "Ann", "1636", "Dutch", "Q2", "9000", "9000", "256", "256", CC0, ""),
    ("A dog", "Cai", "Cai", "", "Flemish", "", "600", "900", "171", "256", "", "A dog looks."),
    ("", "", "", "", "", "Q4/..", "", "", "256", "200", "by permission", ""),
]


def museum_gallery(rows: Sequence[tuple[str, ...]] = ROWS) -> Gallery:
    """Return a gallery of invented rows, whose images are at the museum's addresses."""
    works = pd.DataFrame(rows, columns=INVENTED, dtype=object)
    numbers = [str(number) for number in range(len(works))]
    iiif = [f"https://api.nga.gov/iiif/0000000{number}" for number in numbers]
    works = works.assign(image_id=numbers, object_id=numbers, iiif=iiif, medium="oil on canvas")
    works["file"] = [f"{number}.jpg" for number in numbers]
    works["page"] = [PAGE.format(number) for number in numbers]
    works["url"] = [f"{address}/full/!256,256/0/default.jpg" for address in iiif]
    return Gallery(NAME, Path("nowhere"), works)


def real_gallery(shared: Path, folder: Path) -> Gallery:
    """Return the gallery of the museum's real rows, as if their images had been downloaded."""
    published = "published_images.real_rows.2023schema.csv"
    museum(folder)
    for name, source in {
        "published_images.csv": published,
        "objects.csv": "objects.real_rows.csv",
        "constituents.csv": "constituents.csv",
    }.items():
        shutil.copyfile(shared / "nga" / source, folder / name)
    people = {37003: "1485", 46569: "1107", 66755: "1902", 119052: "6845"}
    write(folder / "objects_constituents.csv", [role(n, who) for n, who in people.items()])
    works = catalog(folder, **EVERYTHING).works
    sizes = [
        fitted((int(width), int(height)), 256)
        for width, height in zip(works["iiif_width"], works["iiif_height"], strict=True)
    ]
    works["page"] = works["object_id"].map(PAGE.format)
    works["width"], works["height"] = ([str(size[side]) for size in sizes] for side in (0, 1))
    return Gallery(NAME, folder, works)
