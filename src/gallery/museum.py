"""The gallery of a museum: catalog, selection, downloads, works.csv.

Any institution with IIIF manifests is data=iiif. Another source needs a dataclass and a line of
SOURCES in src/config/sources.py, its file in configs/data/, a module beside nga.py that returns its
Catalog, and a branch of museum_gallery.
"""

import logging
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd

from src.config import Config
from src.config.data import Data, Demo, Iiif, Nga
from src.downloader.client import PoliteClient
from src.downloader.images import Limits
from src.downloader.journal import DownloadRecord
from src.gallery import Gallery, write_gallery
from src.gallery.catalog import Catalog
from src.gallery.downloads import fetch_missing
from src.gallery.iiif.catalog import fetch_catalog as fetch_iiif
from src.gallery.iiif.catalog import source_name
from src.gallery.nga import fetch_catalog
from src.io.outputs import Outputs

log = logging.getLogger(__name__)

PAGE = "https://www.nga.gov/collection/art-object-page.{}.html"  # of an object, by its number


def museum_gallery(cfg: Config) -> Gallery:
    """Return the gallery of the museum's images that the options select; download missing ones.

    Raises UserError if the museum's tables or manifests cannot be downloaded or read, and
    ManyMissing if more images are missing than download.max_failed allows.
    """
    outputs, options = Outputs(Path(cfg.outputs)), cfg.download
    client = PoliteClient(options.requests_per_second, options.workers, options.contact)
    if isinstance(cfg.data, Nga):
        if cfg.data.netrc:
            client.authorize(cfg.data.tables)
        catalog = fetch_catalog(cfg.data, cfg.seed, outputs.tables, client)
        pages = catalog.works["object_id"].map(PAGE.format)
        catalog = replace(catalog, works=catalog.works.assign(page=pages))
        return _gallery(cfg, "nga", catalog, client)
    if isinstance(cfg.data, Iiif):
        source = source_name(cfg.data.manifest)
        catalog = fetch_iiif(cfg.data, options, cfg.seed, outputs.manifests / source, client)
        return _gallery(cfg, f"iiif-{source}", catalog, client)
    assert isinstance(cfg.data, Demo)
    from src.demo.server import open_museum, served

    source = f"demo-seed-{cfg.seed}"
    common = {field.name: getattr(cfg.data, field.name) for field in fields(Data)}
    with served(open_museum(outputs.demo, cfg.seed)) as url:
        # The port differs each time, so the URL names neither the cache nor the gallery
        data = Nga(**common, tables=url, refresh=True)
        catalog = fetch_catalog(data, cfg.seed, outputs.tables, client, location=source)
        ours = ["iiif", "iiif_width", "iiif_height", "rights"]  # a museum that ends with us
        catalog = replace(catalog, works=catalog.works.drop(columns=ours))
        return _gallery(cfg, source, catalog, client)


def _gallery(cfg: Config, source: str, catalog: Catalog, client: PoliteClient) -> Gallery:
    """Download the missing images of a catalog and write its gallery, named after source."""
    outputs, options, data = Outputs(Path(cfg.outputs)), cfg.download, cfg.data
    size = data.image_size or "largest"
    folder = (outputs.images / source / size).resolve()
    limits = Limits(options.max_bytes, data.max_pixels)
    fetched = fetch_missing(catalog, folder, options, limits, client)
    total, seed = fetched.total, cfg.seed if data.limit else None
    selection = catalog.selection | {"size": size, "limit": data.limit, "seed": seed}
    fetched.check(max_missing=total - 2)
    works = _works(catalog, fetched.present)
    gallery = write_gallery(source, folder, works, selection, outputs.root, cfg.escape_formulas)
    log.info("gallery: %s", outputs.galleries / gallery.name / "works.csv")
    fetched.check(max_missing=options.max_failed * total)
    return replace(gallery, missing=total - len(gallery))


def _works(catalog: Catalog, present: dict[str, DownloadRecord]) -> pd.DataFrame:
    """Return the rows of the downloaded images, in the catalog's order, with their file facts."""
    works = catalog.works[catalog.works["image_id"].isin(present)].reset_index(drop=True)
    records = [present[image_id] for image_id in works["image_id"]]
    for column in ("width", "height", "sha256"):
        works[column] = [getattr(record, column) for record in records]
    return works
