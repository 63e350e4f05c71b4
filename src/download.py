"""Fetch the museum's images, politely:  python -m src.download [option=value ...]

outputs/images/<source>/<size>/ holds them, with journal.csv, which says what came of each.
"""

import hashlib
import logging
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from urllib.parse import urlsplit

import hydra
import pandas as pd
from omegaconf import DictConfig
from tqdm.contrib.logging import logging_redirect_tqdm

from src import cli, journal
from src.config import Config, Data, Demo, Download, Nga, UserError, is_address
from src.fetch import Crew, HostRefuses, Limits, clear, present
from src.files import readable
from src.gallery import Gallery, write_gallery
from src.journal import Journal, Record
from src.nga import SCHEMA, Catalog, read_catalog
from src.progress import progress
from src.tables import fetch_tables
from src.web import Outcome, Web

log = logging.getLogger(__name__)

PATIENTLY = (
    "what came is kept. Start again later; a lower download.requests_per_second and"
    " download.contact=<your e-mail> may help"
)
OFFLINE = (
    "what came is kept. Start again when the museum can be reached; experiment=demo and data=folder"
    " need no network"
)
AGAIN = (
    "start again to ask for those that may come (download.retry_failed=true: for all), or admit"
    " more with download.max_failed"
)

cli.register()


class ManyMissing(UserError):
    """More images are missing than download.max_failed admits."""

    code = 1


@hydra.main(version_base="1.3", config_path=str(cli.CONFIGS), config_name="download")
def main(overrides: DictConfig) -> None:
    """Check the options, then fetch."""
    with cli.refusals():
        cfg = cli.typed(overrides)
        if not isinstance(cfg.data, Nga | Demo):
            raise UserError("data=folder has its images already: nothing to download")
        museum_gallery(cfg)


def museum_gallery(cfg: Config) -> Gallery:
    """The museum's images that the options select, fetched where they are not there yet.

    Raises UserError when the tables cannot be had, and ManyMissing when too many images cannot.
    """
    if isinstance(cfg.data, Nga):
        place = cfg.data.tables.rstrip("/")
        return _gallery(
            cfg, cfg.data, "nga", place if is_address(place) else str(Path(place).resolve())
        )
    from src.demo import open_museum, served

    common = {field.name: getattr(cfg.data, field.name) for field in fields(Data)}
    with served(open_museum(Path(cfg.outputs) / "demo", cfg.seed)) as address:
        # the address is another one each time, so neither cached nor part of the selection
        data = Nga(**common, tables=address, refresh=True)
        source = f"demo-seed-{cfg.seed}"
        return _gallery(cfg, data, source, source)


def _gallery(cfg: Config, data: Nga, source: str, tables: str) -> Gallery:
    outputs, options = Path(cfg.outputs), cfg.download
    web = Web(options.requests_per_second, options.workers, options.contact)
    catalog = read_catalog(_tables(data, outputs / "tables" / _slug(tables), web), data, cfg.seed)
    size = data.image_size or "largest"
    folder = (outputs / "images" / source / size).resolve()
    limits = Limits(options.max_bytes, data.max_pixels)
    fetched = fetch_missing(catalog, folder, options, limits, web)
    selection = {
        "tables": tables,
        "classification": data.classification,
        "view": data.view.value,
        "open_access": data.open_access,
        "artists": sorted(data.artists),
        "size": size,
        "limit": data.limit,
        "seed": cfg.seed if data.limit else None,
    }
    works = _works(catalog, fetched.here)
    total = len(catalog.works)
    _check(fetched, total, admitted=total - 2)
    gallery = write_gallery(source, folder, works, selection, outputs)
    log.info("%s", outputs / "galleries" / gallery.name / "works.csv")
    _check(fetched, total, admitted=options.max_failed * total)
    return replace(gallery, missing=total - len(gallery))


def _tables(data: Nga, cache: Path, web: Web) -> Path:
    """The folder that holds the tables, fetched where they have an address."""
    if not is_address(data.tables):
        return Path(data.tables)
    fetch_tables(data.tables, SCHEMA, cache, data.refresh, web)
    return cache


def _slug(place: str) -> str:
    """A folder name for the tables of a place."""
    digest = hashlib.sha256(place.encode()).hexdigest()[:8]
    return f"{urlsplit(place).hostname}-{digest}" if is_address(place) else place


@dataclass
class Fetched:
    """What is known of a catalog's images."""

    here: dict[str, Record]  # by image_id
    failed: list[Record]
    wanted: list[tuple[str, str]]  # id and address of those that may still be asked for
    seen: str = ""  # why the host was not asked for more


def fetch_missing(
    catalog: Catalog, folder: Path, options: Download, limits: Limits, web: Web
) -> Fetched:
    """Fetch those images of the catalog that are not in the folder, and report.

    Images that the host said it will never give are asked for again with retry_failed only.
    """
    fetched = _known(catalog, folder, options)
    before = len(fetched.here)
    if fetched.wanted:
        with journal.alone(folder):
            clear(folder)
            fetched = _known(catalog, folder, options)  # while this process waited, others fetched
            before = len(fetched.here)
            if fetched.wanted:
                log.info("fetching %d images%s", len(fetched.wanted), _duration(fetched, options))
                _fetch(fetched, folder, options.workers, limits, web)
    _report(fetched, before, len(catalog.works))
    if gone := len(present(folder).keys() - catalog.published):
        log.info("%8d  others here are in the tables no more: kept, and left out", gone)
    return fetched


def _duration(fetched: Fetched, options: Download) -> str:
    rate = options.requests_per_second
    if not rate:
        return ""
    minutes = len(fetched.wanted) / rate / 60
    return f", at most {rate:g} a second: {minutes:.0f} minutes or more" if minutes > 1 else ""


def _known(catalog: Catalog, folder: Path, options: Download) -> Fetched:
    known, sizes = journal.read(folder / "journal.csv"), present(folder)
    fetched = Fetched({}, [], [])
    for image_id, address in zip(catalog.works["image_id"], catalog.works["url"], strict=True):
        record = known.get(image_id)
        if record and record.ok and record.bytes == str(sizes.get(image_id)):
            fetched.here[image_id] = record
        elif record and record.final and record.url == address and not options.retry_failed:
            fetched.failed.append(record)
        else:
            fetched.wanted.append((image_id, address))
    return fetched


def _fetch(fetched: Fetched, folder: Path, workers: int, limits: Limits, web: Web) -> None:
    """Ask for the images that are wanted; fetched takes what comes."""
    size, refused = 0, list[Record]()  # since the last image that came
    known = len(fetched.failed)
    with (
        closing(Journal(folder / "journal.csv")) as book,
        logging_redirect_tqdm(),
        progress(None, "fetching", len(fetched.wanted), " images") as bar,
    ):
        try:
            for record in Crew(folder, book, web, limits).fetch(fetched.wanted, workers):
                if record.ok:
                    fetched.here[record.image_id] = record
                    size += int(record.bytes)
                    refused.clear()
                else:
                    fetched.failed.append(record)
                    refused += [record] if record.status in ("401", "403") else []
                failed = len(fetched.failed) - known
                bar.set_postfix_str(f"{failed} failed, {readable(size)}", refresh=False)
                bar.update()
        except KeyboardInterrupt:
            log.info("%d images are here; the same command goes on", len(fetched.here))
            raise
        except HostRefuses as error:
            fetched.seen = str(error)
            for record in refused:  # the host meant us, not these images: ask again next time
                book.add(replace(record, outcome=Outcome.transient.value))


def _report(fetched: Fetched, before: int, total: int) -> None:
    """The outcomes, counted."""
    counts = Counter(f"{record.outcome}: {record.reason}" for record in fetched.failed)
    rows = [(total, "images selected"), (before, "were here before")]
    rows += [(len(fetched.here) - before, "fetched")]
    rows += [(count, reason) for reason, count in counts.most_common()]
    rows += [(total - len(fetched.here) - len(fetched.failed), "not asked for")]
    for count, what in rows:
        if count or what == "fetched":
            log.info("%8d  %s", count, what)
    if fetched.seen:
        log.warning("%s", fetched.seen)


def _works(catalog: Catalog, here: dict[str, Record]) -> pd.DataFrame:
    """The catalog's rows whose images are there, in its order, with each image's own facts."""
    works = catalog.works[catalog.works["image_id"].isin(here)].reset_index(drop=True)
    records = [here[image_id] for image_id in works["image_id"]]
    for column in ("width", "height", "sha256"):
        works[column] = [getattr(record, column) for record in records]
    return works


def _check(fetched: Fetched, total: int, admitted: float) -> None:
    """Raises ManyMissing when more images are missing than admitted."""
    missing = total - len(fetched.here)
    if missing > admitted:
        answered = any(record.status for record in fetched.failed)
        advice = (PATIENTLY if answered else OFFLINE) if fetched.seen else AGAIN
        seen = f": {fetched.seen}" if fetched.seen else ""
        raise ManyMissing(f"{missing} of {total} images are missing{seen}; {advice}")


if __name__ == "__main__":
    sys.exit(cli.command(main))
