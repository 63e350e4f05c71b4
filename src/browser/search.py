"""Search among images by words that each of them has in title, artist, date, file or a label.

Case, accents and signs do not count. A word that no image has may be a typo: the words of the
collection that are nearest to it are searched in its place. n = images.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.browser.edits import edit_distances
from src.gallery import Gallery
from src.gallery.captions import date_of
from src.gallery.search import spellings

MIN_LETTERS = 3  # of a word that may be a typo
LONG = 8  # letters of a word that may have two edits instead of one
MAX_INSTEAD = 5  # words in place of one


class Match(NamedTuple):
    """A word of a query, and the images that have it."""

    word: str  # as fold() leaves it
    instead: list[str]  # the words that are searched in its place, [] if it is searched itself
    rows: NDArray[np.bool_]  # (n,)


class SearchIndex:
    """What images can be found by, as fold() leaves it."""

    def __init__(
        self, gallery: Gallery, labels: Mapping[str, tuple[list[str], NDArray[np.int64]]]
    ) -> None:
        self.texts = row_texts(gallery, has_artist="artist" not in labels)
        self.labels = [([_spelled(v) for v in values], codes) for values, codes in labels.values()]

    def search(self, query: str) -> list[Match]:
        """Return for each word of a query the images that have it, alone or as a part of a word."""
        words = list(zip(*(text.split() for text in spellings(query)), strict=False))
        return [self._match(list(dict.fromkeys(forms))) for forms in dict.fromkeys(words)]

    def _match(self, forms: list[str]) -> Match:
        """Return the images that have one of the spellings of a word, else one of those near."""
        rows = self._rows_with(forms)
        instead = [] if rows.any() else self.nearest(forms)
        return Match(forms[0], instead, self._rows_with(instead) if instead else rows)

    def _rows_with(self, words: list[str]) -> NDArray[np.bool_]:
        """Return (n,) which images have one of the words as a part of their texts."""
        found = np.zeros(len(self.texts), bool)
        for word in words:
            found |= np.fromiter((word in text for text in self.texts), bool, len(self.texts))
            for values, codes in self.labels:
                found |= np.array([*(word in value for value in values), False])[codes]
        return found

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Return the words of titles, artists, dates and labels with how often they occur.

        A word has at least MIN_LETTERS letters, and no digit.
        """
        counts = Counter(w for text in self.texts for w in text.partition("|")[0].split())
        for values, codes in self.labels:
            times = np.bincount(codes[codes >= 0], minlength=len(values)).tolist()
            for value, count in zip(values, times, strict=True):
                for word in value.split():
                    counts[word] += count
        is_word = re.compile(rf"\D{{{MIN_LETTERS},}}").fullmatch
        return {word: count for word, count in counts.items() if count and is_word(word)}

    def nearest(self, forms: list[str]) -> list[str]:
        """Return the words of the vocabulary with the fewest edits from a word, frequent first.

        `forms` are spellings of one word. At most MAX_INSTEAD words, one edit away, two if the word
        has LONG letters; [] if there is none, or the word is short or a number.
        """
        near = Counter[str]()  # word: minus its edits
        for form in forms:
            if len(form) < MIN_LETTERS or re.search(r"\d", form):
                continue
            limit = 2 if len(form) >= LONG else 1
            words = [word for word in self.vocabulary if abs(len(word) - len(form)) <= limit]
            for at in np.flatnonzero((edits := edit_distances(form, words)) <= limit).tolist():
                near[words[at]] = max(near.get(words[at], -9), -int(edits[at]))
        best = [word for word, edits in near.items() if edits == max(near.values())]
        return sorted(best, key=lambda word: (-self.vocabulary[word], word))[:MAX_INSTEAD]


def row_texts(gallery: Gallery, has_artist: bool) -> list[str]:
    """Return (n,) title, date and, with has_artist, artist of each image, then "|" and its file.

    Where there is no title, the file takes its place.
    """
    titles = _folded(_first_of(gallery.works, "title", "title_slug"), _spelled)
    dates = _folded(_first_of(gallery.works, "date", "year"), lambda text: _spelled(_plain(text)))
    artists = _folded(_first_of(gallery.works, *["artist"] * has_artist), _spelled)
    files = map(_spelled, gallery.files)
    return [
        f"{title} {artist} {date}|{file}" if title else f"{file} {artist} {date}|"
        for title, artist, date, file in zip(titles, artists, dates, files, strict=True)
    ]


def _first_of(works: pd.DataFrame, *columns: str) -> list[str]:
    """Return (n,) of each image the text of the first of the columns that has one, else ""."""
    texts = pd.Series("", works.index, dtype=object)
    for column in columns:
        if column in works:
            texts = texts.where(texts != "", works[column])
    return list(texts)


def _folded(texts: list[str], form: Callable[[str], str]) -> list[str]:
    """Return the form of each text, made once for equal ones."""
    forms = {text: form(text) for text in set(texts)}
    return [forms[text] for text in texts]


def _spelled(text: str) -> str:
    return " ".join(spellings(text))


def _plain(date: str) -> str:
    return date_of({"date": date})
