"""The museum's five tables written for tests, small and by hand."""

import csv
from pathlib import Path

from src.config.data import Nga
from src.config.enums import View
from src.demo.server import HEADERS
from src.gallery.nga import Catalog, read_catalog

Row = dict[str, str]
EVERYTHING: dict[str, object] = {"classification": "all", "view": View.all, "open_access": False}


def uuid(number: int) -> str:
    return f"{number:08x}-ab00-4000-8000-000000000000"


def image(number: int, **fields: str) -> Row:
    """The only view of object number; **fields say what differs."""
    url = f"https://museum/iiif/{uuid(number)}"
    default = {"uuid": uuid(number), "iiifurl": url, "iiifthumburl": f"{url}/full/!2,2/0/a.jpg"}
    sizes = {"width": "9000", "height": "8000", "maxpixels": "", "openaccess": "1"}
    thing = {"viewtype": "primary", "sequence": "0", "depictstmsobjectid": str(number)}
    return default | sizes | thing | fields


def work(number: int, **fields: str) -> Row:
    default = {"objectid": str(number), "title": f"Title {number}", "classification": "Painting"}
    return default | {"displaydate": "1635", "beginyear": "1635", "endyear": "1635"} | fields


def role(thing: int, person: str, order: str = "1", kind: str = "artist") -> Row:
    ids = {"objectid": str(thing), "constituentid": person}
    return ids | {"displayorder": order, "roletype": kind}


def person(name: str, nation: str = "Dutch") -> Row:
    return {"constituentid": name, "forwarddisplayname": f"Judith {name}", "nationality": nation}


def term(thing: int, kind: str, text: str) -> Row:
    return {"objectid": str(thing), "termtype": kind, "term": text}


def write(path: Path, rows: list[Row], columns: list[str] | None = None) -> None:
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
    """The five tables in folder; by default three paintings by one artist, one view each."""
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
    return read_catalog(folder, Nga(tables=str(folder), **options), seed)  # type: ignore


def numbers(found: Catalog) -> list[int]:
    """The images, each as the number that image() made it of."""
    return [int(image_id[:8], 16) for image_id in found.works["image_id"]]


def columns(found: Catalog, *names: str) -> list[tuple[str, ...]]:
    return list(found.works[list(names)].itertuples(index=False, name=None))
