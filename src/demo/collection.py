"""The demo's collection: 252 paintings drawn from a seed, so that a first run needs no network.

Twelve styles (the label `style`) with three painters each and seven works per painter.
"""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from uuid import UUID

import numpy as np

from src.demo import styles
from src.demo.canvas import Canvas, Floats
from src.io.files import atomic_write

WORKS_PER_PAINTER = 7
COARSENESS = (1.0, 0.7, 1.4)  # of the brushwork of a style's three painters
SCHOOLS = ("Harbor School", "Circle of Nine", "Velm Academy", "Salt Row Group", "Northern Workshop")
MEDIA = ("oil on canvas", "acrylic on canvas", "oil on panel", "tempera on panel")
WORDS = {
    "fruit": "Pears Quinces Apples Plums Lemons Figs Apricots Oranges",
    "place": "Orrin Tessel Varn Marrow Kessa Dunmere Saltby Ostwick",
    "time": "Morning Evening Harvest Snowmelt Rain August Thaw Dusk",
}

TITLES: dict[Callable[[Canvas], None], str] = {
    styles.grid: "Grid No. {n}",
    styles.color_field: "Field No. {n}, {time}",
    styles.landscape: "Hills near {place}, {time}",
    styles.pointillism: "{time} at {place}",
    styles.waves: "Swell No. {n}",
    styles.gesture: "Untitled (No. {n})",
    styles.still_life: "Bowl with {fruit}",
    styles.rings: "Rings No. {n}",
    styles.op_art: "Interference {n}",
    styles.night_city: "{place} by Night",
    styles.shards: "Facets of {place}",
    styles.hatching: "{time} over {place}",
}

# What is seen, for those who cannot see it
SEEN: dict[Callable[[Canvas], None], str] = {
    styles.grid: "Ruled cells, every other one the bare ground",
    styles.color_field: "A few soft-edged bands of color that float on the ground",
    styles.landscape: "A sun over receding ridges",
    styles.pointillism: "A sun over receding ridges, all in dots",
    styles.waves: "Winding bands of color",
    styles.gesture: "Wide bristly strokes along random curves",
    styles.still_life: "A bowl of fruit, bottles and loose fruit on a table",
    styles.rings: "Concentric discs in each cell of a grid",
    styles.op_art: "A checkerboard that bulges around two points",
    styles.night_city: "Lit windows over their reflection in water",
    styles.shards: "Triangles of a mesh in slowly changing colors",
    styles.hatching: "Short strokes that follow a flow",
}

# One line per style above: its painters, each with a palette of five colors in short hex.
PAINTERS = """\
Mirel Astho eed 222 c32 258 eb3, Jun Vadeck def 134 f96 6ab 287, Pia Lorrow edb 431 a52 785 da4
Oskar Thule 412 932 e52 d94 612, Anwen Sorl 124 247 59b 8cc 335, Teo Marchet edc a97 d87 cb8 788
Aldo Fennick fed 243 fd7 8a8 9bc, Greta Moor fc9 425 fe9 a68 c67, Ivo Sandra eef 246 ffe 79b 8ac
Lise Garamel fec 356 f93 7a5 8cd, Ravi Ondel edf 426 f79 a7b fb9, Hugo Pelli ffd 453 ec4 9b4 bdd
Kaito Brenn eed 135 378 7bb 257, Sunna Eldar fda 613 e63 c35 f95, Marek Ulv dec 243 475 8a6 bb5
Dora Vantz eed 222 c31 fff 444, Ines Callow fed 235 e84 49b d56, Bo Lindqvar 234 012 fc3 e45 6cc
Clara Wexfel cba 643 c84 a53 785, Emil Tarro 789 345 dc8 b64 aab, Noor Hald db9 512 e93 d53 8a5
Zelda Marsk edc 223 d43 eb3 388, Otti Graav fde 437 e69 fa5 85b, Piet Hollan dee 145 2a9 8c6 f75
Vida Kestle fff 111 d22 111 d22, Ned Arkwit fec 137 e73 137 e73, Yuki Tanim dfe 306 0a8 306 b3a
Leon Stradt 236 223 a57 fc5 fe9, Mina Corvel 314 213 c46 f96 fc9, Dag Erikso 134 122 488 aec efd
Edda Krugel edb 432 b75 ca6 799, Tomas Vire def 137 5ad f94 d35, Lena Ashgro fed 524 c68 fa8 846
Silas Thorn fe9 247 48b eb4 685, Nell Farro fdc 512 e53 f96 a35, Abel Rooke dec 132 486 ac6 587
"""


def _painter(style: int, number: int) -> tuple[str, Floats]:
    """Return the name and the palette (5, 3) of a painter."""
    words = PAINTERS.splitlines()[style].split(", ")[number].split()
    palette = [[17.0 * int(digit, 16) for digit in color] for color in words[2:]]
    return " ".join(words[:2]), np.array(palette)


def _describe(rng: np.random.Generator, style: int, painter: int, work: int) -> dict[str, str]:
    """Return the metadata of a painting."""
    image_id, draw = str(UUID(bytes=rng.bytes(16), version=4)), list(TITLES)[style]
    words = {kind: str(rng.choice(options.split())) for kind, options in WORDS.items()}
    return {
        "image_id": image_id,
        "file": f"{image_id[:2]}/{image_id}.jpg",
        "object_id": str(20001 + (style * len(COARSENESS) + painter) * WORKS_PER_PAINTER + work),
        "title": TITLES[draw].format(n=work + 1, **words),
        "artist": _painter(style, painter)[0],
        "date": str(1860 + (37 * style + 23 * painter) % 95 + rng.integers(35)),
        "classification": "Painting",
        "school": SCHOOLS[(3 * style + painter) % len(SCHOOLS)],
        "style": draw.__name__.replace("_", " ").title(),
        "medium": str(rng.choice(MEDIA)),
        "view": "primary",
        "assistive_text": SEEN[draw],
    }


def draw_collection(folder: Path, seed: int = 0) -> list[dict[str, str]]:
    """Draw the paintings that are missing in folder; return the metadata of all, sorted by file.

    The bytes of a painting depend only on the seed and on its style, painter and work numbers.
    """
    records = []
    for numbers in product(range(len(TITLES)), range(len(COARSENESS)), range(WORKS_PER_PAINTER)):
        rng, (style, painter, _) = np.random.default_rng([seed, *numbers]), numbers
        record = _describe(rng, *numbers)
        if not (folder / record["file"]).exists():
            canvas = Canvas(rng, _painter(style, painter)[1], COARSENESS[painter])
            list(TITLES)[style](canvas)
            with atomic_write(folder / record["file"]) as part:
                canvas.finish().save(part, "JPEG", quality=90)
        records.append(record)
    return sorted(records, key=lambda record: record["file"])
