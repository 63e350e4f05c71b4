"""The documents of a crawl: those on disk, and those that are being downloaded."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rich import filesize
from tqdm.contrib.logging import logging_redirect_tqdm

from src.config.data import Download
from src.downloader import images, journal
from src.downloader.circuit_breaker import HostUnavailable
from src.downloader.client import PoliteClient
from src.downloader.documents import MAX_BYTES, SUFFIX, DocumentDownloader, document_id
from src.downloader.errors import Outcome
from src.downloader.journal import DownloadRecord, Journal
from src.errors import UserError
from src.io.files import folder_lock
from src.io.json_text import Json, NotJson, parse_object
from src.io.sources import read_source
from src.runtime.progress import progress

MAX_TOTAL_BYTES = 4_000_000_000  # of the documents of a collection, on disk


class Unavailable(Exception):
    """A document that cannot be had; the message is the reason."""

    def __init__(self, reason: str, is_transient: bool = False) -> None:
        super().__init__(reason)
        self.is_transient = is_transient  # a later request may get it


class Documents:
    """JSON documents by address; see open_documents."""

    def __init__(
        self,
        folder: Path,
        outcomes: Journal,
        client: PoliteClient,
        options: Download,
        refresh: bool,
    ) -> None:
        self._folder, self._options, self._refresh = folder, options, refresh
        self._records = journal.read_journal(folder / "journal.csv")
        self._sizes = images.sizes_on_disk(folder, SUFFIX)
        self._bytes = sum(self._sizes.values())
        self._downloader = DocumentDownloader(folder, outcomes, client, refresh)
        self._results: Generator[DownloadRecord, None, None] | None = None
        self._pending = set[str]()  # ids that are being downloaded
        self._asked = set[str]()
        self.new = 0  # documents downloaded
        self.refusal = ""  # why the main host is not requested any more
        self._bar = progress(None, "reading manifests", 0, " documents")

    def want(self, urls: Iterable[str]) -> None:
        """Begin to download those documents that are missing."""
        fresh = {document_id(url): url for url in urls}
        fresh = {key: url for key, url in fresh.items() if self._is_wanted(key)}
        self._asked |= fresh.keys()
        if not fresh:
            return
        self._pending |= fresh.keys()
        self._bar.total = len(self._asked)
        if self._results is None:
            workers = self._options.workers
            self._results = self._downloader.fetch(list(fresh.items()), workers, is_open=True)
            self._take()
        else:
            self._downloader.add(list(fresh.items()))

    def _is_wanted(self, key: str) -> bool:
        """Return whether a document is requested, as an image of the same state would be."""
        record = self._records.get(key)
        if key in self._asked:
            return False
        if record and record.ok and record.bytes == str(self._sizes.get(key)):
            return self._refresh
        return not (record and record.final) or self._options.retry_failed

    def read(self, url: str) -> Json:
        """Wait for a document that was wanted, and return it. Raises Unavailable, UserError."""
        key = document_id(url)
        while key in self._pending:
            self._take()
        record = self._records.get(key)
        if record is None or not record.ok:
            reason = record.reason if record else "not requested"
            raise Unavailable(reason, not record or record.outcome == Outcome.transient.value)
        try:
            path = images.path_of(self._folder, key, SUFFIX)
            return parse_object(read_source(path, MAX_BYTES))
        except (NotJson, FileNotFoundError) as error:  # somebody has changed the file
            raise Unavailable("not JSON") from error

    def _take(self) -> None:
        """Wait for the next outcome. Raises UserError if all documents have too many bytes."""
        assert self._results is not None
        record = next(self._results)
        self._pending.discard(record.image_id)
        self._records[record.image_id] = record
        self.new += record.ok
        self._bar.update()
        if record.ok:
            self._bytes += int(record.bytes) - self._sizes.get(record.image_id, 0)
            if self._bytes > MAX_TOTAL_BYTES:
                raise UserError(
                    "data.manifest names documents of more than"
                    f" {filesize.decimal(MAX_TOTAL_BYTES)}: name one of the collections in it, or"
                    " lower data.max_manifests"
                )

    def finish(self) -> None:
        """Wait for the end of all downloads."""
        if self._results is None:
            return
        self._downloader.finish()
        try:
            for _ in self._results:
                pass
        except HostUnavailable as reason:  # after the last outcome
            self.refusal = str(reason)

    def close(self) -> None:
        """End the downloads, finished or not."""
        self._bar.close()
        if self._results is not None:
            self._results.close()


@contextmanager
def open_documents(
    folder: Path, client: PoliteClient, options: Download, refresh: bool
) -> Iterator[Documents]:
    """Open the documents that a folder keeps for the block, alone; others are downloaded into it.

    Requests keep to the rules for images, and outcomes are in journal.csv as theirs are: what is
    interrupted goes on, and nothing that has arrived is requested again unless `refresh`.
    """
    with folder_lock(folder), logging_redirect_tqdm():
        images.remove_partial_files(folder)
        with journal.open_journal(folder / "journal.csv") as outcomes:
            documents = Documents(folder, outcomes, client, options, refresh)
            with closing(documents):
                yield documents
                documents.finish()
