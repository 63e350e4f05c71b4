"""A made collection with everything that searches, filters and orders meet, as an open run."""

import random
from pathlib import Path

import numpy as np

from src.browser.opened import OpenRun
from tests.support.open_runs import open_run

PARTS = ("mo", "na", "ri", "el", "ste", "gar", "den", "lu", "vi", "tor", "bé", "sol", "ßa", "dü")
DATES = ("c. {}", "{}", "{}.0", "after {}", "{}/04", "")
HOSTILE = ("<b>&amp;</b>", 'a "quoted" value', "x=1&f.school=y", "q", "モネ", "\u202eevil", "Œuvre")


def collection(folder: Path, n: int = 450) -> OpenRun:
    """Return a run over n images with repeated words, accents, gaps, and hostile labels."""
    draw, numbers = random.Random(7), np.random.default_rng(7)
    words = ["".join(draw.choices(PARTS, k=draw.randint(2, 4))) for _ in range(300)]
    artists = [" ".join(draw.sample(words, 2)).title() for _ in range(30)]
    years = [draw.choice(DATES).format(draw.randint(1400, 1999)) for _ in range(n)]
    return open_run(
        folder,
        numbers.integers(0, n, (n, 4)),
        precision=np.where(numbers.random(n) < 0.1, np.nan, numbers.integers(0, 50, n) / 50),
        works={
            "file": [f"{draw.choice(words)}/{row:05x}.jpg" for row in range(n)],
            "title": [_title(draw, words, row) for row in range(n)],
            "artist": [draw.choice([*artists, ""]) for _ in range(n)],
            "date": years,
            "school": [draw.choice([*HOSTILE, ""]) for _ in range(n)],
            "q": [draw.choice(words[:150]) for _ in range(n)],
            "wing": [draw.choice(["east", "west", ""]) for _ in range(n)],
        },
    )


def _title(draw: random.Random, words: list[str], row: int) -> str:
    if row % 9 == 0:
        return ""
    return " ".join([*draw.choices(words, k=draw.randint(1, 4)), *[f"No. {row}"] * (row % 2)])


def queries(run: OpenRun, count: int) -> list[list[tuple[str, str]]]:
    """Return seeded addresses of the gallery as pairs: typos, accents, filters, orders, pages."""
    draw = random.Random(11)
    return [[], [("sort", "title")], *(_query(run, draw) for _ in range(count - 2))]


def _query(run: OpenRun, draw: random.Random) -> list[tuple[str, str]]:
    pairs = list[tuple[str, str]]()
    if draw.random() < 0.8:
        vocabulary = list(run.catalog.index.vocabulary)
        words = draw.choices(vocabulary, k=draw.choice([1, 1, 2, 3]))
        pairs.append(("q", " ".join(_typed(draw, word) for word in words)))
    for column in draw.sample(list(run.catalog.facets), draw.choice([0, 0, 1, 1, 2])):
        pairs.append((f"f.{column}", draw.choice([*run.catalog.facets[column].values, "gone"])))
    if draw.random() < 0.7:
        pairs.append(("sort", draw.choice([*run.catalog.orders, "gone"])))
    if draw.random() < 0.3:
        pairs.append(("page", draw.choice(["2", "3", "-1", "x", "٣", "99999"])))
    if draw.random() < 0.1:
        pairs.append(("f.gone", "1"))
    return pairs


def _typed(draw: random.Random, word: str) -> str:
    """Return a word with a typo, an accent, as a part, or as it is."""
    at = draw.randrange(len(word))
    left_out, put_in = word[:at] + word[at + 1 :], f"{word[:at]}x{word[at:]}"
    swapped = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
    return draw.choice([word, word[:3], left_out, put_in, swapped, word.replace("e", "É")])
