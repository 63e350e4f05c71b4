"""Download the missing images of a catalog, and report the outcomes."""

import logging
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich import filesize
from tqdm.contrib.logging import logging_redirect_tqdm

from src.config.data import Download
from src.downloader import images, journal
from src.downloader.circuit_breaker import HostUnavailable
from src.downloader.client import PoliteClient
from src.downloader.images import ImageDownloader, Limits
from src.downloader.journal import DownloadRecord
from src.errors import UserError
from src.gallery.catalog import Catalog
from src.io.files import folder_lock
from src.runtime.progress import progress

log = logging.getLogger(__name__)

MAX_REPORTED_REASONS = 12
ADVICE_RATE_LIMITED = (
    "downloaded images are kept; run the same command again later, perhaps with a lower"
    " download.requests_per_second and with download.contact=<your e-mail>"
)
ADVICE_OFFLINE = (
    "downloaded images are kept; run the same command again when the museum can be reached"
    " (experiment=demo and data=folder need no network)"
)
ADVICE_RETRY = (
    "run the same command again to retry transient failures (download.retry_failed=true: all"
    " failures), or raise download.max_failed"
)


class ManyMissing(UserError):
    """More images are missing than download.max_failed allows."""

    code = 1
    keep_run_folder = True


@dataclass
class Fetched:
    """Which images of a catalog exist, which failed, and which are still to be requested."""

    total: int  # images of the catalog, those without a known address too
    present: dict[str, DownloadRecord]  # by image_id
    failed: list[DownloadRecord]  # not requested (again) in this call
    pending: list[tuple[str, str]]  # (id, URL); those never requested come first
    new: int = 0  # images downloaded in this call
    new_bytes: int = 0
    refusal: str = ""  # why the download ended early
    host_answered: bool = True  # False: it ended early without any response
    unknown: int = 0  # images without a known address

    def add(self, record: DownloadRecord) -> None:
        """Add the outcome of a pending image."""
        if record.ok:
            self.present[record.image_id] = record
            self.new, self.new_bytes = self.new + 1, self.new_bytes + int(record.bytes)
        else:
            self.failed.append(record)

    def check(self, max_missing: float) -> None:
        """Raise ManyMissing if more than max_missing images are missing."""
        missing = self.total - len(self.present)
        if missing <= max_missing:
            return
        advice = ADVICE_RATE_LIMITED if self.host_answered else ADVICE_OFFLINE
        reason = f": {self.refusal}; {advice}" if self.refusal else f"; {ADVICE_RETRY}"
        raise ManyMissing(f"{missing} of {self.total} images are missing{reason}")


def fetch_missing(
    catalog: Catalog, folder: Path, options: Download, limits: Limits, client: PoliteClient
) -> Fetched:
    """Download the images of the catalog that are missing in the folder, and log a summary.

    Images that the host declared permanently unavailable are requested again only if
    `options.retry_failed`. Returns the state of all images; Fetched.check judges it.
    """
    sizes = images.sizes_on_disk(folder)
    fetched = _state(catalog, folder, sizes, options)
    if fetched.pending:
        with folder_lock(folder):
            images.remove_partial_files(folder)
            sizes = images.sizes_on_disk(folder)  # another process may have downloaded meanwhile
            fetched = _state(catalog, folder, sizes, options)
            if fetched.pending:
                _download(fetched, folder, options, limits, client)
    _report(fetched)
    if unlisted := len(sizes.keys() - catalog.published):
        log.info("%8d  images on disk are not in these tables (kept, not in the gallery)", unlisted)
    return fetched


def _state(catalog: Catalog, folder: Path, sizes: dict[str, int], options: Download) -> Fetched:
    """Return the state of all images, from the journal and the sizes of the files."""
    records = journal.read_journal(folder / "journal.csv")
    total = len(catalog.works) + catalog.missing
    fetched = Fetched(total, {}, [], [], refusal=catalog.refusal, unknown=catalog.missing)
    for image_id, url in zip(catalog.works["image_id"], catalog.works["url"], strict=True):
        record = records.get(image_id)
        if record and record.ok and record.bytes == str(sizes.get(image_id)):
            fetched.present[image_id] = record
        elif record and record.final and record.url == url and not options.retry_failed:
            fetched.failed.append(record)
        else:
            fetched.pending.append((image_id, url))
    # Images that failed before come last: they may all fail again and trip the circuit breaker
    fetched.pending.sort(key=lambda pending: pending[0] in records)
    return fetched


def _download(
    fetched: Fetched, folder: Path, options: Download, limits: Limits, client: PoliteClient
) -> None:
    """Request the pending images and add their outcomes to fetched."""
    count, rate = len(fetched.pending), options.requests_per_second
    limit = f", at most {rate:g} per second (about {count / rate / 60:.1f} min)" if rate else ""
    log.info("downloading %d images%s", count, limit)
    with (
        journal.open_journal(folder / "journal.csv") as outcomes,
        closing(
            ImageDownloader(folder, outcomes, client, limits).fetch(
                fetched.pending, options.workers
            )
        ) as records,
        logging_redirect_tqdm(),
        progress(None, "downloading", count, " images") as bar,
    ):
        try:
            for record in records:
                fetched.add(record)
                bar.update()
                summary = f"{bar.n - fetched.new} failed, {filesize.decimal(fetched.new_bytes)}"
                bar.set_postfix_str(summary, refresh=False)
        except KeyboardInterrupt:
            log.info("%d images downloaded; run the same command to resume", len(fetched.present))
            raise
        except HostUnavailable as error:
            fetched.refusal, fetched.host_answered = str(error), error.host_answered


def _report(fetched: Fetched) -> None:
    """Log how many images have which outcome."""
    reasons = Counter(f"{record.outcome}: {record.reason}" for record in fetched.failed)
    reported = reasons.most_common(MAX_REPORTED_REASONS)
    unknown = f", with {fetched.unknown} whose document could not be had" * bool(fetched.unknown)
    rows = [(fetched.total, f"images selected{unknown}"), (fetched.new, "downloaded")]
    rows += [(len(fetched.present) - fetched.new, "already downloaded")]
    rows += [(count, reason) for reason, count in reported]
    unreported = len(fetched.failed) - sum(count for _, count in reported)
    rows += [(unreported, "other failures: see journal.csv")]
    rows += [(fetched.unknown, "not requested: their document could not be had")]
    known = fetched.total - fetched.unknown
    rows += [(known - len(fetched.present) - len(fetched.failed), "not attempted")]
    for count, description in rows:
        if count or description == "downloaded":
            log.info("%8d  %s", count, description)
    if fetched.refusal:
        log.warning("%s", fetched.refusal)
