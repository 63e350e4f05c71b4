"""Tables like the National Gallery's, of any size:

    python -m tests.bench.nga_tables FOLDER [--images 122477]

Then the time and the memory that the catalog of all of them takes:

    python -m tests.bench.catalog FOLDER
"""

import argparse
import csv
import random
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from src.demo.server import HEADERS

IMAGES = 122_477  # rows of published_images.csv in March 2025
KINDS = {"Print": 60, "Drawing": 20, "Photograph": 12, "Painting": 3.2, "Sculpture": 4}
NATIONS = ["American", "French", "Italian", "Dutch", "German", "British", "Spanish", "Flemish"]
TERMS = {"School": 30, "Style": 25, "Theme": 40, "Technique": 60, "Keyword": 200}
STAMP = "2023-09-15 22:27:18.41-04"


def write_tables(folder: Path, images: int = IMAGES, seed: int = 0) -> None:
    """The five tables in the schema of 2026, about as long as the real ones are."""
    draw = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    objects, people = int(images * 1.15), max(20, images // 7)
    rows = {
        "published_images.csv": _images(draw, images, objects),
        "objects.csv": _objects(draw, objects),
        "objects_constituents.csv": _roles(draw, objects, people),
        "constituents.csv": _people(draw, people),
        "objects_terms.csv": _terms(draw, objects),
    }
    for name, table in rows.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADERS[name].split(","))
            writer.writerows(table)


def _text(draw: random.Random, words: int) -> str:
    """Some words, now and then with what makes a CSV hard."""
    text = " ".join(draw.choices(WORDS, k=words))
    return f'{text},\n\n[1] "{text[:9]}"' if draw.random() < 0.1 else text


TEXT = "a woman with smooth pale skin sits in front of canvas on an easel é “oak”"
WORDS = TEXT.split()


def _images(draw: random.Random, images: int, objects: int) -> Iterable[tuple[object, ...]]:
    for number in range(images):
        name = str(UUID(int=draw.getrandbits(128), version=4))
        url = f"https://api.nga.gov/iiif/{name}"
        view = "primary" if number < images * 0.9 else "alternate"
        thing = number % objects if view == "primary" else draw.randrange(objects)
        width, height = draw.randint(900, 20_000), draw.randint(900, 20_000)
        limit = 640 if draw.random() < 0.1 else ""
        yield (
            *(name, url, f"{url}/full/!200,200/0/default.jpg", view, number % 3, width, height),
            *(limit, int(draw.random() < 0.6), STAMP, STAMP, thing, _text(draw, 60)),
        )


def _objects(draw: random.Random, objects: int) -> Iterable[tuple[object, ...]]:
    for number in range(objects):
        kind = draw.choices(list(KINDS), list(KINDS.values()))[0]
        year = draw.randint(1300, 1990)
        yield (
            *(number, "", 1, f"19{number}.1", "", _text(draw, 4), f"c. {year}", year, year + 2),
            *("", "oil on canvas", _text(draw, 8), "", "", "Leyster, Judith", "Judith Leyster"),
            *(_text(draw, 50), _text(draw, 6), kind, "", kind.lower(), "", 0, "CF"),
            *("", "", "", "", STAMP, "", ""),
        )


def _roles(draw: random.Random, objects: int, people: int) -> Iterable[tuple[object, ...]]:
    for number in range(objects):
        for order, role in enumerate(("artist", "artist", "donor", "owner", "owner")):
            if order != 1 or draw.random() < 0.4:
                person = draw.randrange(people)
                yield (number, person, order + 1, role, role, "", "", "", "", "", "", "")


def _people(draw: random.Random, people: int) -> Iterable[tuple[object, ...]]:
    for number in range(people):
        nation = draw.choice(NATIONS)
        names = (f"Name {number}, First", f"First Name {number}", f"Name {number}")
        years = ("born 1600", 1, 1600, 1660, "")
        yield (number, "", "", *names, *years, nation, nation, "individual", "")


def _terms(draw: random.Random, objects: int) -> Iterable[tuple[object, ...]]:
    for number in range(objects):
        for kind, many in TERMS.items():
            for _ in range(draw.choice((0, 0, 1, 1, 2))):
                term = f"{kind} {draw.randrange(many)}"
                yield (draw.randrange(9999), number, kind, term, "", "")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m tests.bench.nga_tables")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write_tables(options.folder, options.images, options.seed)
    for path in sorted(options.folder.glob("*.csv")):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
