"""Small hand-written versions of the museum's five tables, for tests."""

import csv
from pathlib import Path

from src.config.data import Nga
from src.config.enums import View
from src.demo.server import HEADERS
from src.gallery.catalog import Catalog
from src.gallery.nga import read_catalog

Row = dict[str, str]
EVERYTHING: dict[str, object] = {"classification": "all", "view": View.all, "open_access": False}


def uuid(number: int) -> str:
    """Return the id of the image with this number."""
    return f"{number:08x}-ab00-4000-8000-000000000000"


def image(number: int, **fields: str) -> Row:
    """Return a row of the only view of object `number`; fields replace the defaults."""
    url = f"https://museum/iiif/{uuid(number)}"
    default = {"uuid": uuid(number), "iiifurl": url, "iiifthumburl": f"{url}/full/!2,2/0/a.jpg"}
    sizes = {"width": "9000", "height": "8000", "maxpixels": "", "openaccess": "1"}
    view = {"viewtype": "primary", "sequence": "0", "depictstmsobjectid": str(number)}
    return default | sizes | view | fields


def work(number: int, **fields: str) -> Row:
    """Return a row of objects.csv; fields replace the defaults."""
    default = {"objectid": str(number), "title": f"Title {number}", "classification": "Painting"}
    return default | {"displaydate": "1635", "beginyear": "1635", "endyear": "1635"} | fields


def role(object_id: int, person: str, order: str = "1", kind: str = "artist") -> Row:
    """Return a row of objects_constituents.csv."""
    ids = {"objectid": str(object_id), "constituentid": person}
    return ids | {"displayorder": order, "roletype": kind}


def person(name: str, nation: str = "Dutch") -> Row:
    """Return a row of constituents.csv for Judith <name>, whose id is name."""
    return {"constituentid": name, "forwarddisplayname": f"Judith {name}", "nationality": nation}


def term(object_id: int, kind: str, text: str) -> Row:
    """Return a row of objects_terms.csv."""
    return {"objectid": str(object_id), "termtype": kind, "term": text}


def write(path: Path, rows: list[Row], columns: list[str] | None = None) -> None:
    """Write a table, by default with the columns that its file name stands for."""
    with path.open("w", newline="", encoding="utf-8") as file:
        names = columns or HEADERS[path.name].split(",")
        writer = csv.DictWriter(file, names, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def museum(
    folder: Path,
    images: list[Row] | None = None,
    objects: list[Row] | None = None,
    roles: list[Row] | None = None,
    people: list[Row] | None = None,
    terms: list[Row] | None = None,
) -> Path:
    """Write the five tables to folder, by default of three paintings by one artist."""
    three = [1, 2, 3]
    rows = {
        "published_images.csv": [image(n) for n in three] if images is None else images,
        "objects.csv": [work(n) for n in three] if objects is None else objects,
        "objects_constituents.csv": [role(n, "Ley") for n in three] if roles is None else roles,
        "constituents.csv": [person("Ley")] if people is None else people,
        "objects_terms.csv": [term(1, "School", "Dutch")] if terms is None else terms,
    }
    for name in HEADERS:
        write(folder / name, rows[name])
    return folder


def catalog(folder: Path, seed: int = 0, **options: object) -> Catalog:
    """Read the catalog of the tables in folder with options of Nga."""
    return read_catalog(folder, Nga(tables=str(folder), **options), seed)  # type: ignore


def numbers(catalog: Catalog) -> list[int]:
    """Return the image numbers of a catalog, as given to uuid."""
    return [int(image_id[:8], 16) for image_id in catalog.works["image_id"]]


def columns(catalog: Catalog, *names: str) -> list[tuple[str, ...]]:
    """Return columns of a catalog, one tuple per image."""
    return list(catalog.works[list(names)].itertuples(index=False, name=None))
