"""What curators say about pairs of images: is the neighbor a good one for the query?

A table has a line for each verdict: query and neighbor, by file or image_id, and judgement; a
column judge tells several curators apart.
"""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from src.errors import UserError
from src.gallery.names import FileNames, normal_text
from src.io.csv_cells import unescape_cell
from src.io.printable import printable
from src.io.spreadsheets import read_rows

log = logging.getLogger(__name__)

# What the browser writes; judge and time may be missing in a table made by hand
COLUMNS = ("query", "neighbor", "judgement", "judge", "time")
SPELLINGS = {"judgment": "judgement", "neighbour": "neighbor"}
# None takes a verdict back; pandas writes 1 as 1.0 in a column with gaps, and True and False
WORDS = {
    **dict.fromkeys(("1", "1.0", "yes", "true"), True),
    **dict.fromkeys(("0", "0.0", "no", "false"), False),
    "": None,
}
MAX_SHOWN = 40  # characters of a cell in a message


class Verdict(NamedTuple):
    """What a judge says about a pair."""

    query: str  # a file of the gallery or, as read, any name of one
    neighbor: str
    judge: str  # "" where the table does not tell
    is_good: bool | None  # None takes back what was said


def read_verdicts(path: Path, escape_formulas: bool = True) -> list[Verdict]:
    """Return the verdicts of a table, with the names of images as it has them.

    The last line of a judge about a pair counts; a warning says if lines contradict each other and
    no column tells by whom they are. With escape_formulas, an apostrophe in front of what a
    spreadsheet would compute is taken off. Raises UserError, which names the line, for a cell that
    is no judgement.
    """
    found, contradicted = dict[tuple[str, str, str], bool | None](), 0
    names, rows = read_rows(path, "query")
    query, neighbor, judgement, judge = _places(names, path)
    for number, cells in rows:
        word = cells[judgement].strip()
        if word.lower() not in WORDS:
            raise UserError(
                f"data.judgements={path}, line {number}: judgement must be 1 or yes for a good"
                f" neighbor, 0 or no for a bad one, got {printable(word)[:MAX_SHOWN]!r}"
            )
        first, second = cells[query], cells[neighbor]
        if not (first.strip() and second.strip()):
            raise UserError(f"data.judgements={path}, line {number}: query or neighbor is empty")
        if escape_formulas:
            first, second = unescape_cell(first), unescape_cell(second)
        key = first, second, "" if judge is None else normal_text(unescape_cell(cells[judge]))
        is_good = WORDS[word.lower()]
        before = found.pop(key, None)  # so that the order is that of the lines that count
        found[key] = is_good
        contradicted += before is not None and is_good is (not before)
    if contradicted and judge is None:
        log.warning(
            "judgements: %d of %d lines contradict an earlier one, and the last counts: of several"
            " people, whom a column judge tells apart, the majority would",
            contradicted,
            len(rows),
        )
    return [Verdict(*key, is_good) for key, is_good in found.items()]


def _places(names: list[str], path: Path) -> tuple[int, int, int, int | None]:
    """Return the columns of query, neighbor, judgement, and judge, None without one."""
    known = [SPELLINGS.get(name.lower(), name.lower()) for name in names]
    for name in COLUMNS[:4]:
        if (count := known.count(name)) > 1 or (not count and name != "judge"):
            listed = printable(", ".join(filter(None, names)))[:200]
            raise UserError(
                f"data.judgements={path} must have one column named {name}; it has {listed}: it"
                " needs query, neighbor, judgement, and may have judge"
            )
    query, neighbor, judgement = map(known.index, COLUMNS[:3])
    return query, neighbor, judgement, known.index("judge") if "judge" in known else None


def match_verdicts(
    verdicts: Iterable[Verdict], find: Callable[[str], str]
) -> tuple[list[Verdict], int]:
    """Return the verdicts about images that find knows, by file, and how many others there are.

    find is what name_finder returns. Of several names of a pair, the last one counts; what was
    taken back is left out.
    """
    found, unknown = dict[tuple[str, str, str], bool | None](), 0
    for verdict in verdicts:
        query, neighbor = find(verdict.query), find(verdict.neighbor)
        if query and neighbor:
            found[query, neighbor, verdict.judge] = verdict.is_good
        elif verdict.is_good is not None:
            unknown += 1
    said = ((key, is_good) for key, is_good in found.items() if is_good is not None)
    return [Verdict(*key, is_good) for key, is_good in said], unknown


def name_finder(works: pd.DataFrame, root: Path) -> Callable[[str], str]:
    """Return what finds the file of an image of works.csv by any name of it, "" if unknown.

    Names are found as those of data.labels are, or by image_id. Where images are named by numbers,
    such as 007, image_id may be that of a row, so that a spreadsheet's 7 would be another image:
    there it is no name. The browser's table is escaped, whatever the options of a run that reads
    it, so a name may be an escaped one.
    """
    names, known = FileNames(list(works["file"]), root), dict[str, str]()
    ids = dict[str, str]()
    are_numbers = any(map(str.isdecimal, works["file"]))
    if "image_id" in works and works["image_id"].is_unique and not are_numbers:
        ids = dict(zip(works["image_id"], works["file"], strict=True))

    def find(name: str) -> str:
        """Return the file that a name means."""
        if name not in known:
            files = names.find(name).files or names.find(unescape_cell(name)).files
            known[name] = files[0] if len(files) == 1 else ids.get(name.strip(), "")
        return known[name]

    return find


def gallery_verdicts(
    path: Path, works: pd.DataFrame, root: Path, escape_formulas: bool = True
) -> list[Verdict]:
    """Return the verdicts of a table about the images of a gallery; log how many are left out.

    Raises UserError if there are none.
    """
    read = read_verdicts(path, escape_formulas)
    verdicts, unknown = match_verdicts(read, name_finder(works, root))
    said = sum(verdict.is_good is not None for verdict in read)
    if not said:
        raise UserError(f"data.judgements={path} has no judgements: leave it out, or judge pairs")
    if not verdicts:
        raise UserError(
            f"data.judgements={path} has no pair of the {len(works)} images: its columns query and"
            f" neighbor must hold files like {works['file'].iloc[0]}, or image_id"
        )
    judges = {verdict.judge for verdict in verdicts}
    log.info(
        "judgements: %s by %s in %s",
        f"{len(verdicts)} verdict{'s' * (len(verdicts) > 1)}",
        "one judge" if len(judges) == 1 else f"{len(judges)} judges",
        path,
    )
    if unknown:
        log.warning("judgements: %d of %d are about other images", unknown, said)
    return verdicts
