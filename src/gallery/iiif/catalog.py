"""The catalog of a IIIF collection or manifest, of any institution."""

import hashlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd

from src.config.data import Download, Iiif
from src.config.enums import View
from src.config.validation import is_address
from src.downloader.client import PoliteClient
from src.downloader.documents import MAX_BYTES, SUFFIX, document_id, fetch_named
from src.downloader.images import path_of
from src.downloader.tables import from_local_host
from src.errors import UserError
from src.gallery.catalog import Catalog
from src.gallery.gallery import COLUMNS, sample
from src.gallery.iiif.bodies import Picture
from src.gallery.iiif.crawl import Crawl, Found
from src.gallery.iiif.documents import Documents, open_documents
from src.gallery.iiif.image_addresses import Work, with_addresses
from src.gallery.iiif.labels import Row, frequent_columns, row_labels
from src.gallery.iiif.presentation import Collection, Manifest, read_document
from src.io.json_text import NotJson, parse_object
from src.io.sources import read_source

log = logging.getLogger(__name__)

MAX_LISTED = 12  # reasons in one line of the log
STANDARD = {*COLUMNS, "all_artists", "collection", "rights", "attribution"}


def source_name(manifest: str) -> str:
    """Return the name of the folders of a collection: its host or file, and a hash.

    >>> source_name("https://museum.org/iiif/collection.json")
    'museum.org-bcbe3484'
    """
    location = _location(manifest)
    name = urlsplit(location).hostname if is_address(location) else Path(location).stem
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", name or "")[:60].strip("._") or "manifest"
    return f"{name}-{hashlib.sha256(location.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _location(manifest: str) -> str:
    return manifest if is_address(manifest) else str(Path(manifest).resolve())


def fetch_catalog(
    options: Iiif, download: Download, seed: int, folder: Path, client: PoliteClient
) -> Catalog:
    """Follow a collection to its manifests, which are kept in folder, and read the catalog.

    A document that cannot be had counts as one missing image. Raises UserError if the document
    that the user names cannot be read, a collection cannot be had now, or fewer than two images are
    selected.
    """
    with open_documents(folder, client, download, options.refresh) as documents:
        root, url = _read_root(options, folder, client)
        found = Crawl(documents, options.language, options.max_manifests).run(root, url)
        _check_unlisted(found)
        works = _unique(_works(found, options.view), found)
        sampled = set(sample([work.image_id for work in works], options.limit, seed))
        selected = [work for work in works if work.image_id in sampled]
        rows, missing = with_addresses(selected, options.max_side, documents, found)
    _log(found, documents, len(rows))
    missing += found.unavailable
    if len(rows) < 2:
        raise UserError(_few(len(rows), missing, options, documents.refusal, found))
    selection = {
        "manifest": _location(options.manifest),
        "view": options.view.value,
        "language": options.language,
        "max_manifests": options.max_manifests,
    }
    published = frozenset(work.image_id for work in works)
    return Catalog(
        _table(rows), published, dict(found.counts), selection, missing, documents.refusal
    )


def _read_root(
    options: Iiif, folder: Path, client: PoliteClient
) -> tuple[Collection | Manifest, str]:
    """Return the document that the user names, and its address. Raises UserError."""
    named = options.manifest
    path = Path(named)
    if is_address(named):
        path = path_of(folder, document_id(named), SUFFIX)
        fetch_named(named, path, options.refresh, client)
        client.allow_local = from_local_host(named, path.parent, [path.name])
    try:
        content = parse_object(read_source(path, MAX_BYTES))
        root = read_document(content, named if is_address(named) else "", options.language)
    except NotJson as error:
        raise UserError(f"data.manifest={named} is no IIIF document: {error}") from error
    if root is None:
        raise UserError(
            f"data.manifest={named} is neither a collection nor a manifest of the IIIF"
            " Presentation API 2 or 3: its type says something else"
        )
    return root, named


def _check_unlisted(found: Found) -> None:
    """Raise UserError if a collection may be had later: nobody knows how many images it lists."""
    if found.unlisted:
        url, reason = next(iter(found.unlisted.items()))
        raise UserError(
            f"{len(found.unlisted)} collections could not be had, such as {url} ({reason}):"
            " manifests that have arrived are kept; run the same command again later"
        )


def _works(found: Found, view: View) -> Iterator[Work]:
    """Yield the images of all manifests in their order."""
    for manifest, collection in found.manifests:
        number = 0
        for canvas in manifest.canvases:
            labels = row_labels(manifest, canvas) if canvas.pictures else {}
            for picture in canvas.pictures:
                number += 1
                if number == 1 or view is View.all:
                    yield _work(manifest, collection, picture, labels, number)


def _work(manifest: Manifest, collection: str, picture: Picture, labels: Row, number: int) -> Work:
    image_id = document_id(picture.name)
    row = labels | {
        "image_id": image_id,
        "file": f"{image_id[:2]}/{image_id}.jpg",
        "object_id": manifest.url,
        "view": "primary" if number == 1 else "alternate",
        "collection": collection,
    }
    return Work(image_id, picture, row)


def _unique(works: Iterator[Work], found: Found) -> list[Work]:
    """Return each image once: where it is listed first."""
    unique: dict[str, Work] = {}
    for work in works:
        if work.image_id in unique:
            found.counts["images listed more than once"] += 1
        unique.setdefault(work.image_id, work)
    return list(unique.values())


def _table(rows: list[Row]) -> pd.DataFrame:
    """Return works: rows with the columns that are kept, those without any value left out."""
    columns, dropped = frequent_columns(rows, STANDARD)
    if dropped:
        log.info("labels: %d rarer labels of the metadata are left out", dropped)
    table = {column: [row.get(column, "") for row in rows] for column in columns}
    return pd.DataFrame({c: v for c, v in table.items() if any(v)}, dtype=object)


def _log(found: Found, documents: Documents, selected: int) -> None:
    listed = (+found.counts).most_common(MAX_LISTED)
    counts = {"manifests": len(found.manifests), "documents downloaded": documents.new}
    counts |= dict(listed)
    others = found.counts.total() - sum(n for _, n in listed)
    counts["left out for other reasons"] = others
    parts = [f"{n} {what}" for what, n in counts.items() if n] or ["0 manifests"]
    log.info("catalog: %s; %d images selected", ", ".join(parts), selected)


def _few(rows: int, missing: int, options: Iiif, refusal: str, found: Found) -> str:
    """Return the message for a selection of too few images, with the main reason."""
    reason = f"; {missing} documents could not be had" if missing else ""
    reason += f" ({refusal})" if refusal else ""
    if not missing and (left_out := (+found.counts).most_common(1)):
        what, number = left_out[0]
        reason = f" (left out: {number} {what})"
    way = "run the same command again later" if missing else "name a larger collection"
    way += "" if options.view is View.all else ", or set data.view=all"
    return (
        f"data.manifest={options.manifest} has {rows} images that can be used, but at least 2 are"
        f" needed{reason}: {way}"
    )
