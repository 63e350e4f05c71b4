"""Yes and no below a neighbor: the table that keeps them, and what it says already.

It is what data.judgements takes, <outputs>/judgements/<gallery>.csv: a line for each verdict, the
last one counts. Runs over a gallery share it.
"""

import csv
import io
import os
from argparse import ArgumentTypeError
from codecs import BOM_UTF8
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from src.browser.opened import OpenRun
from src.browser.site import NotThere, Parameters, Site, row_of
from src.config.overrides import quote_value, shell_join
from src.errors import UserError
from src.gallery.judgements import COLUMNS, match_verdicts, name_finder, read_verdicts
from src.gallery.names import normal_path, normal_text
from src.io.csv_cells import escape_cell
from src.io.files import atomic_write, folder_lock
from src.io.sources import open_source
from src.io.spreadsheets import MAX_BYTES
from src.leaderboard.sweeps import why_not_repeated
from src.reporting.terminal import from_here
from src.reporting.text import counted

VALUES = ("1", "0", "")  # yes, no, and what takes either back
MAX_NAME = 100  # characters of a judge's
HEAD = ",".join(COLUMNS).encode()


class Outdated(UserError):
    """A page is of other images than the open run, so its rows mean others."""


class Judging(NamedTuple):
    """What a painting's page shows of judgements."""

    said: dict[int, str]  # by neighbor: "1" for yes, "0" for no
    text: str  # how many pairs this server's judge has judged
    command: str  # which evaluates them
    images: str  # a hash: with other images, rows are others
    problem: str = ""  # why the table cannot be read


def judge_name(text: str) -> str:
    """Return a judge's name as the table has it. Raises ArgumentTypeError if it is too long."""
    name = normal_text(text)
    if len(name) > MAX_NAME:
        raise ArgumentTypeError(f"a name has at most {MAX_NAME} characters, got {len(name)}")
    return name


def table_path(site: Site, run: OpenRun) -> Path:
    """Return the path of the table of the run's gallery."""
    return site.outputs.judgements / f"{run.gallery.name}.csv"


def judging(site: Site, run: OpenRun, row: int) -> Judging:
    """Return what the page of a painting shows."""
    path = table_path(site, run)
    shown = Judging({}, "", evaluation_command(run, path), run.fingerprint)
    try:
        said = _said(run, path, site.judge)
    except (UserError, OSError) as error:
        return shown._replace(problem=str(error))
    return shown._replace(said=said.get(row, {}), text=count_text(said))


def count_text(said: dict[int, dict[int, str]]) -> str:
    """Return in words how many pairs are judged, by query and neighbor."""
    count = sum(map(len, said.values()))
    return f"{counted(count, 'pair')} judged" if count else "No pair is judged yet"


def judge(site: Site, run: OpenRun, parameters: Parameters) -> str:
    """Keep what an address says about a pair of rows; return count_text.

    Raises NotThere for a row or a judgement that does not exist, Outdated, UserError if the table
    is not what this program writes, and OSError.
    """
    if parameters.get("images") != run.fingerprint:
        raise Outdated("this page is of other images than the run that is open now: load it again")
    query, neighbor = (
        row_of(run, {"row": parameters.get(name, "")}) for name in ("query", "neighbor")
    )
    judgement = parameters.get("judgement", "no judgement")
    if judgement not in VALUES or query == neighbor:
        raise NotThere("a judgement is 1, 0 or empty, about two images")
    files = run.gallery.files
    time = datetime.now(UTC).isoformat(timespec="seconds")
    names = [_written(files[query]), _written(files[neighbor])]
    path = table_path(site, run)
    _said(run, path, site.judge)  # a table that cannot be read is not continued
    append_line(path, [*names, judgement, escape_cell(site.judge), time])
    return count_text(_said(run, path, site.judge))


def append_line(path: Path, cells: list[str]) -> None:
    """Append a line to the table, which is on disk on return, or as it was.

    Several processes may append at once. Raises UserError if the table is not what this program
    writes, and OSError.
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    with folder_lock(path.parent):
        content = _content(path) + line.getvalue().encode()
        with atomic_write(path) as part, part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(path.parent, os.O_RDONLY)  # so that the new name is on disk, too
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _content(path: Path) -> bytes:
    """Return the table as it is, that of no line if there is none. Raises UserError."""
    try:
        with open_source(path, MAX_BYTES) as file:
            content = file.read()
    except FileNotFoundError:
        return HEAD + b"\n"
    # spreadsheets save it with a byte order mark and the line ends of Windows
    if content.removeprefix(BOM_UTF8).partition(b"\n")[0].rstrip(b"\r") != HEAD:
        raise UserError(
            f"{path} does not begin with {HEAD.decode()}, so another program has written it:"
            " rename it, and a new table begins"
        )
    return content if content.endswith(b"\n") else content + b"\n"


def _written(file: str) -> str:
    """Return how a file is named in the table, which is UTF-8."""
    try:
        file.encode()
    except UnicodeEncodeError:
        return escape_cell(normal_path(file))  # a form by which names are found
    return escape_cell(file)


def _said(run: OpenRun, path: Path, judge: str) -> dict[int, dict[int, str]]:
    """Return what a judge has said, "1" or "0", by rows of query and neighbor."""
    if not path.exists():
        return {}
    status = path.stat()
    return _read(run, path, judge, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=8)
def _read(
    run: OpenRun, path: Path, judge: str, status: tuple[int, ...]
) -> dict[int, dict[int, str]]:
    """Return what the table says, in the state that status identifies."""
    own = (verdict for verdict in read_verdicts(path) if verdict.judge == judge)
    known, _ = match_verdicts(own, _finder(run))
    rows, said = _rows(run), dict[int, dict[int, str]]()
    for verdict in known:
        of_query = said.setdefault(rows[verdict.query], {})
        of_query[rows[verdict.neighbor]] = str(int(bool(verdict.is_good)))
    return said


@lru_cache(maxsize=4)
def _finder(run: OpenRun) -> Callable[[str], str]:
    return name_finder(run.gallery.works, run.gallery.root)


@lru_cache(maxsize=4)
def _rows(run: OpenRun) -> dict[str, int]:
    return {file: row for row, file in enumerate(run.gallery.files)}


def evaluation_command(run: OpenRun, path: Path) -> str:
    """Return the command that repeats a run with the judgements of a table.

    Dots stand for options that are damaged, or that nobody should paste into a shell.
    """
    own = shell_join([f"data.judgements={quote_value(str(from_here(path)))}"])
    try:
        given = [word for word in run.files.overrides() if not word.startswith("data.judgements=")]
    except (UserError, OSError):
        return f"python -m src.run ... {own}"
    if why_not_repeated(given):
        return f"python -m src.run ... {own}"
    return " ".join(filter(None, ["python -m src.run", shell_join(given), own]))
