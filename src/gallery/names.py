"""Find images by names as people and other systems write them, and bring text into one form."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from src.io.csv_cells import unescape_cell
from src.io.printable import one_line


def normal_text(text: str) -> str:
    r"""Return text as a reader sees it: composed letters (NFC), single blanks, none at the ends.

    Tabs and line breaks are blanks. Control characters and invisible ones are left out.

    >>> normal_text(" Claude \t\n Monet\u200b ")
    'Claude Monet'
    """
    if text.isascii() and text.isalnum():
        return text
    return unicodedata.normalize("NFC", one_line(text))


def normal_path(file: str) -> str:
    """Return a path whose parts are in the form of normal_text.

    Bytes of a name that are not UTF-8 are read as Windows-1252, as those of a table are.
    """
    if any("\udc80" <= letter <= "\udcff" for letter in file):
        file = os.fsencode(file).decode("cp1252", "replace")
    return "/".join(map(normal_text, file.split("/")))


def folded_path(file: str) -> str:
    """Return normal_path without the difference of upper and lower case."""
    return normal_path(normal_path(file).casefold())


def _same(file: str) -> str:
    return file


# What two names may differ in, as the log says it, and the form in which they are then equal
FORMS: dict[str, Callable[[str], str]] = {
    "the form of the path": _same,
    "blanks or composed letters": normal_path,
    "upper and lower case": folded_path,
}


class Match(NamedTuple):
    """The files that a name may mean: one, several that fit equally well, or none."""

    files: list[str]
    difference: str = ""  # a key of FORMS, "" if the name is exactly that of the file


class FileNames:
    """The files below a folder, to be found by other spellings of their paths."""

    def __init__(self, files: Sequence[str], root: Path) -> None:
        self._files = files
        self._exact = set(files)
        # Of paths that lead through the folder: as given, absolute, without links
        roots = {str(root), os.path.abspath(root), os.path.realpath(root)}
        self._roots = [f"{Path(path).as_posix()}/" for path in roots]
        self._by_form: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str) -> Match:
        r"""Return the files that a name means by the first form of FORMS in which any is equal.

        The name is a path below the folder, or leads through it. Its \ separate folders unless
        the file's own name has them.
        """
        if name in self._exact:
            return Match([name])
        for difference, form in FORMS.items():
            equal = self._equal_files(difference)
            for path in self._paths(name):
                if files := equal.get(form(path)):
                    return Match(files, difference)
        return Match([])

    def _equal_files(self, difference: str) -> dict[str, list[str]]:
        """Return the files by their form."""
        if difference not in self._by_form:
            groups = defaultdict[str, list[str]](list)
            for file in self._files:
                groups[FORMS[difference](file)].append(file)
            self._by_form[difference] = groups
        return self._by_form[difference]

    def _paths(self, name: str) -> Iterator[str]:
        """Yield the paths relative to the folder that a name may mean, likelier ones first."""
        own = unescape_cell(name)  # of a row that was copied from works.csv
        for text in dict.fromkeys((name, name.strip(), name.replace("\\", "/").strip(), own)):
            path = os.path.normpath(text)
            yield path
            yield from _without_start(path, self._roots)


def _without_start(path: str, starts: Iterable[str]) -> Iterator[str]:
    for start in starts:
        if path.startswith(start):
            yield path.removeprefix(start)
