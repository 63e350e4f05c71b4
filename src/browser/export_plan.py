"""What an export writes, how large it becomes, and whether that is wanted, before it is written.

n = images of a run.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich import filesize

from src.browser.chunks import packed
from src.browser.data import DATA, data_chunk
from src.browser.opened import OpenRun
from src.browser.pictures import LARGE_QUALITY, SMALL, SMALL_QUALITY, picture_of
from src.browser.site import Site
from src.browser.views import VIEWS, Entry
from src.errors import UserError
from src.gallery.gallery import sample

PICTURE = 800  # pixels of a large picture
MAX_GB = 2.0
SAMPLE = 24  # images whose pictures and bodies are made to estimate the size of all
CHUNK_BYTES = 100_000  # of packed bodies, some fifty, which a page loads and unpacks at once
BLOCK = 4096  # bytes of which a disk gives a whole number to each file
THUMBNAIL_SIDES, PICTURE_SIDES = range(32, 1025), range(64, 4097)


@dataclass(frozen=True)
class Export:
    """The options of an export."""

    folder: Path
    limit: int | None = None  # images that get pages, a seeded sample; None: all
    thumbnail: int = SMALL  # pixels, the longer side
    picture: int = PICTURE  # pixels, the longer side; 0: no large pictures
    max_gb: float = MAX_GB
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise UserError for a value out of bounds."""
        if self.limit is not None and self.limit < 1:
            raise UserError(f"--limit must be at least 1, got {self.limit}")
        if not self.max_gb > 0:
            raise UserError(f"--max-gb must be above 0, got {self.max_gb}")
        for name, sides, value in (
            ("--thumbnail", THUMBNAIL_SIDES, self.thumbnail),
            ("--picture", PICTURE_SIDES, self.picture or PICTURE),
        ):
            if value not in sides:
                bounds = f"between {sides[0]} and {sides[-1]} pixels"
                also = ", or 0 for none" if name == "--picture" else ""
                raise UserError(f"{name} must be {bounds}{also}, got {value}")


class Part(NamedTuple):
    """Files of one kind."""

    name: str
    files: int
    bytes: int  # of all of them


class Bodies(NamedTuple):
    """The bodies of a view's pages about the images of a run."""

    mean: float  # bytes of one, packed with others
    per: int  # rows of a chunk, the same for the page that loads it


@dataclass(frozen=True, eq=False)
class WrittenRun(OpenRun):
    """A run as an export shows it; it notes whose thumbnails its pages show."""

    shown: set[int] = field(default_factory=set)  # rows

    def thumbnail(self, row: int) -> str:
        """Return the address of the small picture of an image, relative to a page of the run."""
        self.shown.add(row)
        return super().thumbnail(row)


def static_site(site: Site, options: Export) -> Site:
    """Return the site as it is written: with pages of the images of the limit only."""
    kind = "pictures" if options.picture else "thumbnails"
    runs = list[OpenRun]()
    for run in site.runs:
        values = {item.name: getattr(run, item.name) for item in fields(run)}
        runs.append(WrittenRun(**values | {"large": kind, "written": _written(run, options)}))
    return replace(site, runs=runs, is_static=True)


def _written(run: OpenRun, options: Export) -> NDArray[np.bool_] | None:
    """Return (n,) the images that get pages, the same for runs over the same images; None: all."""
    if options.limit is None or options.limit >= len(run):
        return None
    chosen = set(sample(run.gallery.files, options.limit, options.seed))
    return np.array([file in chosen for file in run.gallery.files])


def written_views(site: Site) -> dict[str, Entry]:
    """Return the views that an export has."""
    return {
        name: entry for name, entry in VIEWS.items() if len(site.runs) > 1 or not entry.of_several
    }


def galleries(site: Site) -> list[OpenRun]:
    """Return a run of each collection of images that has pictures."""
    runs = [run for run in reversed(site.runs) if run.gallery.has_pictures]
    return list({run.images: run for run in runs}.values())


def per_chunk(mean: float, run: OpenRun) -> int:
    """Return the rows of a chunk of bodies with a mean size in bytes."""
    share = len(run.rows) / len(run)
    return max(1, min(len(run), round(CHUNK_BYTES / (max(mean, 1) * share))))


def estimate_pictures(site: Site, options: Export) -> list[Part]:
    """Return the pictures of an export with their sizes, which some of each kind tell.

    Of images without a page, those among the neighbors of others are counted.
    """
    parts = list[Part]()
    for run in galleries(site):
        rows = np.union1d(run.rows, run.index[run.rows]).tolist()
        mean = _mean(_picture_bytes(run, options.thumbnail, SMALL_QUALITY), some_of(rows))
        parts.append(Part("thumbnails", len(rows), round(mean * len(rows))))
        if options.picture:
            rows = run.rows.tolist()
            mean = _mean(_picture_bytes(run, options.picture, LARGE_QUALITY), some_of(rows))
            parts.append(Part("large pictures", len(rows), round(mean * len(rows))))
    return _summed(parts)


def estimate_pages(site: Site, bodies: Mapping[tuple[int, str], Bodies]) -> list[Part]:
    """Return the pages and the data of an export with their sizes, which some of them tell."""
    parts = list[Part]()
    for (number, _), (mean, per) in bodies.items():
        run = site.runs[number]
        parts.append(Part("pages", -(-len(run) // per), round(mean * len(run.rows))))
    for run in site.runs:
        parts += _data_parts(site, run)
    return _summed(parts)


def measure_bodies(site: Site) -> dict[tuple[int, str], Bodies]:
    """Return the bodies of pages about images, by number of the run and view, as some tell."""
    found = dict[tuple[int, str], Bodies]()
    for run in site.runs:
        rows = some_of(run.rows.tolist())
        for name in (name for name, entry in written_views(site).items() if entry.per_row):
            mean = len(packed([body(site, run, name, row) for row in rows])) / len(rows)
            found[run.number, name] = Bodies(mean, per_chunk(mean, run))
    return found


def some_of(rows: list[int]) -> list[int]:
    """Return up to SAMPLE rows, at even distances."""
    return rows[:: -(-len(rows) // SAMPLE)]


def body(site: Site, run: OpenRun, name: str, row: int) -> str:
    """Return the body of a page about a row."""
    return site.render_body(run, VIEWS[name].view(site, run, {"row": str(row)}))


def _data_parts(site: Site, run: OpenRun) -> list[Part]:
    """Return the data of a run, each kind as its first and its last chunk say."""
    parts = list[Part]()
    for name, data in DATA.items():
        count = data.count(run)
        ends = (0, count - 1) if count else ()
        mean = sum(len(data_chunk(site, run, name, at).encode()) for at in ends) / 2
        parts.append(Part("data", count, round(mean * count)))
    return parts


def _picture_bytes(run: OpenRun, size: int, quality: int) -> Callable[[int], int]:
    return lambda row: len(picture_of(run.file(row), size, quality)[0])


def _mean(size: Callable[[int], int], values: Sequence[int]) -> float:
    return sum(map(size, values)) / max(1, len(values))


def _summed(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with one of each name."""
    return [
        Part(
            name,
            sum(part.files for part in parts if part.name == name),
            sum(part.bytes for part in parts if part.name == name),
        )
        for name in dict.fromkeys(part.name for part in parts)
    ]


def describe(parts: Sequence[Part]) -> str:
    """Return the estimate in words."""
    listed = ", ".join(f"{filesize.decimal(part.bytes)} of {part.name}" for part in parts)
    total, files = sum(part.bytes for part in parts), sum(part.files for part in parts)
    return f"about {filesize.decimal(total)} in {files:,} files: {listed}"


def check_size(parts: Sequence[Part], options: Export, present: int) -> None:
    """Raise UserError if an export is larger than wanted, or than the disk has space for.

    `present` are the bytes that an unfinished export has written already.
    """
    total = sum(part.bytes for part in parts)
    if total > options.max_gb * 1e9:
        raise UserError(
            f"the export would take {describe(parts)}; that is more than --max-gb"
            f" {options.max_gb:g}: {_way_out(options)}"
        )
    needed = total + BLOCK // 2 * sum(part.files for part in parts) - present
    folder = next(path for path in (options.folder, *options.folder.parents) if path.is_dir())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder} has {filesize.decimal(free)} free, but {filesize.decimal(needed)} are"
            f" needed: free some space, export to another disk, or {_way_out(options, False)}"
        )


def _way_out(options: Export, may_raise: bool = True) -> str:
    """Return how to make an export smaller."""
    ways = ["leave out large pictures (--picture 0)"] if options.picture else []
    ways += ["make thumbnails smaller (--thumbnail 96)"] if options.thumbnail > 96 else []
    ways += ["write pages of fewer images (--limit 2000)"]
    ways += ["allow more (--max-gb)"] if may_raise else []
    return " or ".join([", ".join(ways[:-1]), ways[-1]]) if len(ways) > 1 else ways[0]
