"""Find the painting that a word means: a row, a file, or what its caption says."""

import os
import unicodedata
from collections.abc import Callable, Collection, Mapping
from pathlib import PurePosixPath

from src.errors import UserError, did_you_mean
from src.gallery import Gallery
from src.gallery.captions import COLUMNS, caption_of
from src.gallery.names import FileNames, normal_path
from src.io.printable import printable

MAX_LISTED = 10  # paintings in an error
LETTERS = str.maketrans(  # that no normal form takes apart
    {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)
DIGRAPHS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
SYRIAC = 0x700  # marks of the scripts before it are accents, vowel points and the like


class _Signs(dict[int, int | str | None]):
    """For str.translate: letters and digits stay, accents go, all else becomes a blank."""

    def __missing__(self, code: int) -> int | str | None:
        """Return what a character becomes."""
        kind = unicodedata.category(chr(code))
        if kind == "Cf" or (kind == "Mn" and code < SYRIAC):
            value: int | str | None = None
        else:
            value = code if kind[0] in "LMN" else " "
        self[code] = value
        return value


_SIGNS = _Signs()


def fold(text: str) -> str:
    """Return text without the difference of case, accents, ligatures and what is between words.

    >>> fold("L\u2019Été: Weiß"), fold("girl-with_a (FLUTE)")
    ('l ete weiss', 'girl with a flute')
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKD", normal_path(text).casefold()).casefold()
        text = text.translate(LETTERS)
    return " ".join(text.lower().translate(_SIGNS).split())


def spellings(text: str) -> list[str]:
    """Return text folded, and again with umlauts as two letters where it has any.

    >>> spellings("Dürer")
    ['durer', 'duerer']
    """
    if text.isascii():
        return [fold(text)]
    digraphs = unicodedata.normalize("NFC", text.casefold()).translate(DIGRAPHS)
    return list(dict.fromkeys([fold(text), fold(digraphs)]))


def searched_texts(gallery: Gallery) -> list[str]:
    """Return by row the spellings of file, title as it is stored, and caption."""
    return [
        "|".join(
            s
            for text in dict.fromkeys([file, _stored_title(work), str(caption_of(work))])
            for s in spellings(text)
        )
        for file, work in zip(gallery.files, _works(gallery), strict=True)
    ]


def _works(gallery: Gallery) -> list[dict[str, str]]:
    """Return of each row what captions are made of."""
    columns = [column for column in COLUMNS if column in gallery.works]
    rows = zip(*(gallery.works[column] for column in columns), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows] or [{}] * len(gallery)


def _stored_title(work: Mapping[str, str]) -> str:
    return work.get("title", "") or work.get("title_slug", "")


def _is_whole(gallery: Gallery, row: int, wanted: Collection[str]) -> bool:
    """Return whether one of the spellings is all of a row's file name, title or caption."""
    path, work = PurePosixPath(gallery.files[row]), gallery.work(row)
    caption = caption_of(work)
    texts = (path.name, path.stem, _stored_title(work), caption.title, str(caption))
    return any(spelling in wanted for text in texts for spelling in spellings(text))


def _as_words(text: str) -> str:
    return text


def _as_letters(text: str) -> str:
    """Return text without its blanks, so that artist's is artists, and l'opera is lopera."""
    return text.replace(" ", "")


FORMS: tuple[Callable[[str], str], ...] = (_as_words, _as_letters)


def find_rows(gallery: Gallery, text: str) -> list[int]:
    """Return the rows with text in file, title, artist or date, in order; [] if none has it.

    Case, accents, hyphens and apostrophes do not count.
    """
    wanted, texts = list(filter(None, spellings(text))), searched_texts(gallery)
    for form in FORMS:
        parts = list(map(form, wanted))
        found = [any(part in searched for part in parts) for searched in map(form, texts)]
        if any(found):
            return [row for row, is_found in enumerate(found) if is_found]
    return []


def find_row(gallery: Gallery, text: str) -> int:
    """Return the row of a painting given as row number, path, or part of file or caption.

    A path is absolute, or relative to the working directory or the gallery's folder. A number that
    is no row may be part of a name: 1887 is 1887.png. The painting whose whole file name or title
    is the text comes before those that have it in them. Raises UserError if no painting or several
    match.
    """
    if is_row(gallery, text):
        return int(text)
    if len(rows := _file_rows(gallery, text)) == 1:
        return rows[0]
    rows, wanted = rows or find_rows(gallery, text), spellings(text)
    rows = [row for row in rows if _is_whole(gallery, row, wanted)] or rows
    if len(rows) != 1:
        raise UserError(_many(gallery, text, rows) if rows else not_found(gallery, text))
    return rows[0]


def is_row(gallery: Gallery, text: str) -> bool:
    """Return whether text is the number of a row."""
    return text.isdecimal() and len(text) < 12 and int(text) < len(gallery)


def _file_rows(gallery: Gallery, text: str) -> list[int]:
    """Return the rows whose file is the path text."""
    files = FileNames(gallery.files, gallery.root)
    for path in (text, os.path.abspath(text), os.path.realpath(text)):
        if found := set(files.find(path).files):
            return [row for row, file in enumerate(gallery.files) if file in found]
    return []


def _many(gallery: Gallery, text: str, rows: list[int]) -> str:
    """Return the error for several paintings."""
    matches = "; ".join(f"{row}: {gallery.caption(row)}" for row in rows[:MAX_LISTED])
    first = f", the first {MAX_LISTED} (--all lists all)" if len(rows) > MAX_LISTED else ""
    number = f" (rows are 0 to {len(gallery) - 1})" if text.isdecimal() else ""
    return (
        f"{len(rows)} paintings have {text!r} in file, title, artist or date{number};"
        f" give a row{first}: {matches}"
    )


def not_found(gallery: Gallery, text: str) -> str:
    """Return the error for no painting."""
    if text.isdecimal():
        return (
            f"row must be between 0 and {len(gallery) - 1}, got {text}, and no file, title, artist"
            " or date contains it"
        )
    if os.path.isfile(text):
        return f"{text} is none of the {len(gallery)} images, which are in {gallery.root}"
    titles = [caption_of(work).title for work in _works(gallery)]
    similar = did_you_mean(text, dict.fromkeys([*filter(None, titles), *gallery.files]))
    return f"no file, title, artist or date contains {printable(repr(text))}{similar}"
