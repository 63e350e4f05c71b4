"""The catalog of the National Gallery of Art, made from its open data."""

import hashlib
import logging
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd

from src.config.data import Nga
from src.config.enums import View
from src.config.validation import is_address
from src.downloader.client import PoliteClient
from src.downloader.tables import fetch_tables, from_local_host
from src.errors import UserError, did_you_mean
from src.gallery import nga_tables
from src.gallery.catalog import Catalog
from src.gallery.gallery import sample
from src.gallery.nga_tables import SCHEMA, Counts, normalize_spaces
from src.gallery.rights import CC0

log = logging.getLogger(__name__)

MAX_LISTED_KINDS = 15


def fetch_catalog(
    options: Nga, seed: int, cache: Path, client: PoliteClient, location: str | None = None
) -> Catalog:
    """Download the tables into a folder of cache if they have a URL, and read the catalog.

    `location` is a stable id of the tables (by default their URL or absolute path), used in the
    names of the cache and the gallery. Raises UserError as fetch_tables and read_catalog do.
    """
    url, is_url = options.tables.rstrip("/"), is_address(options.tables)
    location = location or (url if is_url else str(Path(options.tables).resolve()))
    folder = Path(options.tables)
    if is_url:
        digest = hashlib.sha256(location.encode()).hexdigest()[:8]
        host = urlsplit(location).hostname
        folder = cache / (f"{host}-{digest}" if is_address(location) else location)
        fetch_tables(url, SCHEMA, folder, options.refresh, client)
        client.allow_local = from_local_host(url, folder, SCHEMA)
    selection = {
        "tables": location,
        "classification": options.classification,
        "view": options.view.value,
        "open_access": options.open_access,
        "artists": sorted(options.artists),
    }
    return replace(read_catalog(folder, options, seed), selection=selection)


def read_catalog(tables: Path, options: Nga, seed: int) -> Catalog:
    """Return the images that the options select, ordered by object, primary view first.

    Independent of the order of the images' rows. Raises UserError if a table is missing or lacks a
    column, or if fewer than two images are selected.
    """
    images, image_counts = nga_tables.read_images(tables, options)
    published = frozenset(images["image_id"])
    objects, object_counts = nga_tables.read_objects(tables)
    unknown = {"without a known object": int((~images["object_id"].isin(objects.index)).sum())}
    works = images.join(objects, on="object_id").fillna("")
    works, selected_counts = _select(works, options)
    artists, artist_counts = nga_tables.read_artists(tables, works["object_id"])
    terms, term_counts = nga_tables.read_terms(tables, works["object_id"])
    works = works.join(artists, on="object_id").join(terms, on="object_id").fillna("")
    works = _by_artist(works, options.artists)
    counts = image_counts | object_counts | unknown | selected_counts | artist_counts | term_counts
    parts = [f"{count} {description}" for description, count in counts.items() if count]
    log.info("catalog: %s; %d images selected", ", ".join(parts), len(works))
    sampled = set(sample(list(works["image_id"]), options.limit, seed))
    works = _ordered(works[works["image_id"].isin(sampled)])
    if len(works) < 2:
        raise UserError(
            f"the options select {len(works)} images, but at least 2 are needed: widen"
            " data.classification, data.view, data.artists, data.limit or data.open_access"
        )
    return Catalog(works, published, counts)


def _select(works: pd.DataFrame, options: Nga) -> tuple[pd.DataFrame, Counts]:
    """Return the rows of one classification, view and license, and how many remain after each.

    Raises UserError if no image has the classification.
    """
    counts: Counts = {}
    kinds, classification = works["classification"].str.casefold(), options.classification
    if classification.casefold() != "all":
        if classification.casefold() not in set(kinds):
            raise UserError(
                f"data.classification={classification}: no published image has it; use all or one"
                f" of {_frequent(works['classification'])}"
            )
        works = works[kinds == classification.casefold()]
        counts[f"of classification {classification}"] = len(works)
    if options.view is View.primary:
        works = works[works["view"].str.casefold() == "primary"]
        counts["primary views"] = len(works)
    if options.open_access and "openaccess" in works:
        works = works[works["openaccess"] == "1"]
        counts["open access (CC0)"] = len(works)
    elif options.open_access:
        log.warning(
            "published_images.csv has no column openaccess: data.open_access=true has no effect,"
            " and some images may not be CC0"
        )
    if "openaccess" in works:
        works = works.assign(rights=works["openaccess"].map({"1": CC0}).fillna(""))
    return works.drop(columns="openaccess", errors="ignore"), counts


def _frequent(values: pd.Series) -> str:
    """Return the most frequent values and their counts as text, like "Painting (4), Print (2)"."""
    counts = values[values != ""].value_counts().head(MAX_LISTED_KINDS)
    return ", ".join(f"{value} ({count})" for value, count in counts.items())


def _by_artist(works: pd.DataFrame, artists: list[str]) -> pd.DataFrame:
    """Return the rows of artists, all if the list is empty. Raises UserError if one is unknown."""
    names = {name.casefold(): name for name in works["artist"] if name}
    for artist in artists:
        if artist.casefold() not in names:
            similar = did_you_mean(artist, names.values())
            raise UserError(f"data.artists: the selection has no artist {artist}{similar}")
    selected = {artist.casefold() for artist in artists}
    return works[works["artist"].str.casefold().isin(selected)] if selected else works


def _ordered(works: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by object number, primary views first, then sequence and image_id."""
    keys = pd.DataFrame(
        {
            "object": pd.to_numeric(works["object_id"], errors="coerce"),
            "alternate": works["view"].str.casefold() != "primary",
            "sequence": pd.to_numeric(works["sequence"], errors="coerce"),
            "image_id": works["image_id"],
        }
    )
    works = works.loc[keys.sort_values(keys.columns.tolist()).index].reset_index(drop=True)
    texts = ["title", "date", "classification", "medium", "view", "object_id"]
    texts += ["assistive_text"] if "assistive_text" in works else []
    works[texts] = normalize_spaces(works[texts])
    works["file"] = works["image_id"].str[:2] + "/" + works["image_id"] + ".jpg"
    works = works.drop(columns=["sequence", "maxpixels"])
    # those of the downloaded image are other ones
    return works.rename(columns={"width": "iiif_width", "height": "iiif_height"})
