"""Write the pages of a site to a folder, which opens from a disk or from any web space.

The templates are those of the server. A page about an image is a shell, and the bodies for all
images lie in chunks beside the other data: hundreds of files in place of hundreds of thousands, and
packed, as the pages of 122,477 images were three gigabytes otherwise.
"""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from src.browser.addresses import picture_path
from src.browser.chunks import chunk, packed
from src.browser.data import DATA, data_chunk
from src.browser.export_folder import INDEX, begun, facts_of, present_bytes, refuse_foreign
from src.browser.export_plan import (
    Bodies,
    Export,
    WrittenRun,
    body,
    check_size,
    describe,
    estimate_pages,
    estimate_pictures,
    galleries,
    measure_bodies,
    static_site,
    written_views,
)
from src.browser.opened import OpenRun
from src.browser.picture_files import Job, written
from src.browser.pictures import CHECKSUM, LARGE_QUALITY, SMALL_QUALITY, cache_path
from src.browser.site import Page, Site
from src.errors import UserError
from src.io.files import atomic_write
from src.runtime.progress import progress
from src.runtime.streams import print_lines

STATIC = Path(__file__).parent / "static"
GOES_ON = "the same command goes on where this one has stopped"
STATIC_FILE = re.compile(r"(?:\.\./)?static/([\w.-]+)")


def export(opened: Site, options: Export) -> Path:
    """Write the site of the runs that are open to options.folder; return its first page.

    Raises UserError if the folder is somebody else's, or what is to be written is too large.
    """
    refuse_foreign(options.folder, opened)
    site = static_site(opened, options)
    facts, pictures = facts_of(site, options), estimate_pictures(site, options)
    present = present_bytes(options.folder, facts)
    check_size(pictures, options, present)  # before the lists of all pages are computed
    bodies = measure_bodies(site)
    parts = [*pictures, *estimate_pages(site, bodies)]
    check_size(parts, options, present)
    print_lines(*_gray(site), f"{options.folder}: {describe(parts)}")
    try:
        with begun(options.folder, facts):
            _write_all(site, options, bodies)
    except KeyboardInterrupt:
        print_lines(GOES_ON)
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"the disk of {options.folder} is full: free some space, then {GOES_ON}"
        ) from error
    return options.folder / INDEX


def _gray(site: Site) -> Iterator[str]:
    """Yield a warning about each collection with images that are gone or may not be read."""
    for run in galleries(site):
        gone = sum(not os.access(run.file(row), os.R_OK) for row in run.rows.tolist())
        if gone:
            yield (
                f"warning: {gone:,} of {len(run.rows):,} images cannot be read in"
                f" {run.gallery.root} any more: their pictures will be gray, except those made"
                " before; once the images are back, the same command makes them"
            )


def _write_all(site: Site, options: Export, bodies: Mapping[tuple[int, str], Bodies]) -> None:
    """Write pages while other processes make the pictures, and the first page last."""
    rows = {run.images: set(run.rows.tolist()) for run in site.runs}
    jobs = [*_small(site, options, rows), *_large(site, options)]
    with written(jobs) as pictures:
        _write_pages(site, options.folder, bodies)
        _wait(pictures, len(jobs))
    jobs = _small(site, options, _also_shown(site, rows))
    with written(jobs) as pictures:
        _wait(pictures, len(jobs))
    _write(options.folder / INDEX, _index(site))


def _wait(pictures: Iterator[None], count: int) -> None:
    for _ in progress(pictures, "pictures", count, " pictures"):
        pass


def _also_shown(site: Site, rows: dict[int, set[int]]) -> dict[int, set[int]]:
    """Return by collection of images the rows that pages show beside those that have a page."""
    found: dict[int, set[int]] = {images: set() for images in rows}
    for run in site.runs:
        if isinstance(run, WrittenRun):
            found[run.images] |= run.shown - rows[run.images]
    return found


def _small(site: Site, options: Export, rows: dict[int, set[int]]) -> list[Job]:
    """Return the thumbnails to be made, of rows by collection of images."""
    jobs, size = list[Job](), options.thumbnail
    for run in galleries(site):
        for row in sorted(rows[run.images]):
            checksum = run.value(row, "sha256")
            is_known = CHECKSUM.fullmatch(checksum)
            cached = cache_path(site.outputs, checksum, size) if is_known else None
            target = options.folder / picture_path("thumbnails", run.images, row)
            jobs.append(Job(run.file(row), target, size, SMALL_QUALITY, cached))
    return jobs


def _large(site: Site, options: Export) -> list[Job]:
    """Return the large pictures to be made."""
    size, folder = options.picture, options.folder
    return [
        Job(run.file(row), folder / picture_path("pictures", run.images, row), size, LARGE_QUALITY)
        for run in (galleries(site) if size else [])
        for row in run.rows.tolist()
    ]


def _write_pages(site: Site, folder: Path, bodies: Mapping[tuple[int, str], Bodies]) -> None:
    """Write everything but pictures and the first page."""
    used = set[str]()  # files of static/
    total = sum(len(site.runs[number].rows) for number, _ in bodies)
    with progress(None, "pages", total, " pages") as bar:
        for run in site.runs:
            chunks = {name: per for (at, name), (_, per) in bodies.items() if at == run.number}
            for name, html in _pages(site, run, chunks):
                used |= set(STATIC_FILE.findall(html))
                _write(folder / str(run.number) / f"{name}.html", html)
            for name, per in chunks.items():
                for number, texts in _bodies(site, run, name, per):
                    text = chunk(name, number, packed(texts))
                    _write(_data_file(folder, run, name, number), text)
                    bar.update(len(texts))
            for name, data in DATA.items():
                for number in range(data.count(run)):
                    text = data_chunk(site, run, name, number)
                    _write(_data_file(folder, run, name, number), text)
    for name in used:
        _write(folder / "static" / name, (STATIC / name).read_text())


def _pages(site: Site, run: OpenRun, chunks: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield the names and the HTML of the pages of a run; chunks: by view, the rows of one."""
    for name, entry in written_views(site).items():
        if not entry.per_row:
            yield name, site.render(run, name, entry.view(site, run, {}))
            continue
        shown = entry.view(site, run, {"row": str(run.rows[0])})
        context = {"per": chunks[name], "scripts": shown.context.get("scripts", [])}
        yield name, site.render(run, name, Page(name.capitalize(), "shell.jinja", context))


def _bodies(site: Site, run: OpenRun, name: str, per: int) -> Iterator[tuple[int, dict[int, str]]]:
    """Yield the numbers of chunks and their bodies by place in the chunk."""
    for number, rows in groupby(run.rows.tolist(), lambda row: row // per):
        yield number, {row % per: body(site, run, name, row) for row in rows}


def _data_file(folder: Path, run: OpenRun, name: str, number: int) -> Path:
    return folder / str(run.number) / "data" / name / f"{number:03d}.js"


def _index(site: Site) -> str:
    """Return the first page, which leads to the gallery of the first run."""
    title = f"{len(site.runs[0])} images: {site.facts(site.runs[0])['collection']}"
    return site.environment.get_template("index.jinja").render(title=title)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as part:
        part.write_text(text, "utf-8", "replace")
