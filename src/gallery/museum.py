"""The museum's images as a gallery: tables, selection, downloads, works.csv."""

import hashlib
import logging
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
from tqdm.contrib.logging import logging_redirect_tqdm

from src.config import Config
from src.config.data import Data, Demo, Download, Nga
from src.config.validation import is_address
from src.downloader import images, journal
from src.downloader.client import PoliteClient
from src.downloader.errors import Outcome
from src.downloader.images import HostUnavailable, ImageDownloader, Limits
from src.downloader.journal import DownloadRecord, Journal
from src.downloader.tables import fetch_tables
from src.errors import UserError
from src.gallery import Gallery, write_gallery
from src.gallery.nga import SCHEMA, Catalog, read_catalog
from src.io.files import folder_lock, format_bytes
from src.runtime.progress import progress

log = logging.getLogger(__name__)
REASONS = 12  # lines of the report
ADVICE_RATE_LIMITED = (
    "what came is kept. Start again later; a lower download.requests_per_second and"
    " download.contact=<your e-mail> may help"
)
ADVICE_OFFLINE = (
    "what came is kept. Start again when the museum can be reached; experiment=demo and data=folder"
    " need no network"
)
ADVICE_RETRY = (
    "start again to ask for those that may come (download.retry_failed=true: for all), or admit"
    " more with download.max_failed"
)


class ManyMissing(UserError):
    """More images are missing than download.max_failed admits."""

    code = 1
    at_work = True


def museum_gallery(cfg: Config) -> Gallery:
    """The museum's images that the options select, fetched where they are not there yet.

    Raises UserError when the tables cannot be had, and ManyMissing when too many images cannot.
    """
    if isinstance(cfg.data, Nga):
        place = cfg.data.tables.rstrip("/")
        place = place if is_address(place) else str(Path(place).resolve())
        return _gallery(cfg, cfg.data, "nga", place)
    assert isinstance(cfg.data, Demo)
    from src.demo.server import open_museum, served

    common = {field.name: getattr(cfg.data, field.name) for field in fields(Data)}
    with served(open_museum(Path(cfg.outputs) / "demo", cfg.seed)) as address:
        # the address is another one each time, so neither cached nor part of the selection
        data = Nga(**common, tables=address, refresh=True)
        source = f"demo-seed-{cfg.seed}"
        return _gallery(cfg, data, source, source)


def _gallery(cfg: Config, data: Nga, source: str, place: str) -> Gallery:
    """place stands for the tables in names that are to last."""
    outputs, options = Path(cfg.outputs), cfg.download
    web = PoliteClient(options.requests_per_second, options.workers, options.contact)
    catalog = read_catalog(_tables(data, outputs / "tables", place, web), data, cfg.seed)
    size = data.image_size or "largest"
    folder = (outputs / "images" / source / size).resolve()
    limits = Limits(options.max_bytes, data.max_pixels)
    fetched = fetch_missing(catalog, folder, options, limits, web)
    selection = {
        "tables": place,
        "classification": data.classification,
        "view": data.view.value,
        "open_access": data.open_access,
        "artists": sorted(data.artists),
        "size": size,
        "limit": data.limit,
        "seed": cfg.seed if data.limit else None,
    }
    total = len(catalog.works)
    fetched.check(admitted=total - 2)
    gallery = write_gallery(source, folder, _works(catalog, fetched.present), selection, outputs)
    log.info("gallery: %s", outputs / "galleries" / gallery.name / "works.csv")
    fetched.check(admitted=options.max_failed * total)
    return replace(gallery, missing=total - len(gallery))


def _tables(data: Nga, cache: Path, place: str, web: PoliteClient) -> Path:
    """The folder that holds the tables, fetched where they have an address."""
    if not is_address(data.tables):
        return Path(data.tables)
    digest = hashlib.sha256(place.encode()).hexdigest()[:8]
    folder = cache / (f"{urlsplit(place).hostname}-{digest}" if is_address(place) else place)
    fetch_tables(data.tables, SCHEMA, folder, data.refresh, web)
    return folder


@dataclass
class Fetched:
    """What is known of a catalog's images."""

    total: int
    present: dict[str, DownloadRecord]  # by image_id
    failed: list[DownloadRecord]  # and not to be asked for again in this call
    pending: list[tuple[str, str]]  # id and address, those never asked for first
    new: int = 0  # of those here
    refusal: str = ""  # why the host is not asked for more
    host_answered: bool = True  # whether that was said by the host

    def check(self, admitted: float) -> None:
        """Raises ManyMissing when more images are missing than admitted."""
        missing = self.total - len(self.present)
        if missing > admitted:
            advice = (
                ADVICE_RETRY
                if not self.refusal
                else ADVICE_RATE_LIMITED
                if self.host_answered
                else ADVICE_OFFLINE
            )
            seen = f": {self.refusal}" if self.refusal else ""
            raise ManyMissing(f"{missing} of {self.total} images are missing{seen}; {advice}")


def fetch_missing(
    catalog: Catalog, folder: Path, options: Download, limits: Limits, web: PoliteClient
) -> Fetched:
    """Fetch those images of the catalog that are not in the folder, and report.

    Images that the host said it will never give are asked for again with retry_failed only.
    """
    sizes = images.sizes_on_disk(folder)
    fetched = _known(catalog, folder, sizes, options)
    if fetched.pending:
        with folder_lock(folder):
            images.remove_partial_files(folder)
            sizes = images.sizes_on_disk(
                folder
            )  # while this process waited, another may have fetched
            fetched = _known(catalog, folder, sizes, options)
            if fetched.pending:
                _fetch(fetched, folder, options, limits, web)
    _report(fetched)
    if others := len(sizes.keys() - catalog.published):
        log.info("%8d  others here are not in these tables: kept, and left out", others)
    return fetched


def _known(catalog: Catalog, folder: Path, sizes: dict[str, int], options: Download) -> Fetched:
    known = journal.read_journal(folder / "journal.csv")
    fetched = Fetched(len(catalog.works), {}, [], [])
    for image_id, address in zip(catalog.works["image_id"], catalog.works["url"], strict=True):
        record = known.get(image_id)
        if record and record.ok and record.bytes == str(sizes.get(image_id)):
            fetched.present[image_id] = record
        elif record and record.final and record.url == address and not options.retry_failed:
            fetched.failed.append(record)
        else:
            fetched.pending.append((image_id, address))
    # those that failed before come last: they may be all that the host cannot give
    fetched.pending.sort(key=lambda pending: pending[0] in known)
    return fetched


def _fetch(
    fetched: Fetched, folder: Path, options: Download, limits: Limits, web: PoliteClient
) -> None:
    """Ask for the images that are wanted; fetched takes what comes."""
    count, rate, size = len(fetched.pending), options.requests_per_second, 0
    pace = f", at most {rate:g} a second: {count / rate / 60:.1f} minutes" if rate else ""
    log.info("fetching %d images%s", count, pace)
    refused = list[DownloadRecord]()  # since the last image that came
    with (
        closing(Journal(folder / "journal.csv")) as book,
        closing(
            ImageDownloader(folder, book, web, limits).fetch(fetched.pending, options.workers)
        ) as records,
        logging_redirect_tqdm(),
        progress(None, "fetching", count, " images") as bar,
    ):
        try:
            for record in records:
                if record.ok:
                    fetched.present[record.image_id] = record
                    fetched.new, size = fetched.new + 1, size + int(record.bytes)
                    refused.clear()
                else:
                    fetched.failed.append(record)
                    refused += [record] if record.status in ("401", "403") else []
                bar.update()
                failed = f"{bar.n - fetched.new} failed, {format_bytes(size)}"
                bar.set_postfix_str(failed, refresh=False)
        except (HostUnavailable, KeyboardInterrupt) as error:
            for record in refused:  # the host may have meant us: ask for these again next time
                book.add(replace(record, outcome=Outcome.transient.value))
            if isinstance(error, KeyboardInterrupt):
                log.info("%d images are here; the same command goes on", len(fetched.present))
                raise
            fetched.refusal, fetched.host_answered = str(error), error.host_answered


def _report(fetched: Fetched) -> None:
    """The outcomes, counted."""
    counts = Counter(f"{record.outcome}: {record.reason}" for record in fetched.failed)
    rows = [(fetched.total, "images selected"), (fetched.new, "fetched")]
    rows += [(len(fetched.present) - fetched.new, "were here before")]
    rows += [(count, reason) for reason, count in counts.most_common(REASONS)]
    others = len(fetched.failed) - sum(count for _, count in counts.most_common(REASONS))
    rows += [(others, "failed otherwise: see journal.csv")]
    rows += [(fetched.total - len(fetched.present) - len(fetched.failed), "left open")]
    for count, what in rows:
        if count or what == "fetched":
            log.info("%8d  %s", count, what)
    if fetched.refusal:
        log.warning("%s", fetched.refusal)


def _works(catalog: Catalog, present: dict[str, DownloadRecord]) -> pd.DataFrame:
    """The catalog's rows whose images are there, in its order, with each image's own facts."""
    works = catalog.works[catalog.works["image_id"].isin(present)].reset_index(drop=True)
    records = [present[image_id] for image_id in works["image_id"]]
    for column in ("width", "height", "sha256"):
        works[column] = [getattr(record, column) for record in records]
    return works
