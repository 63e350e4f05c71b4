"""The National Gallery of Art's open data: its tables joined into the list of images to fetch.

Only this file and src.demo know the museum's column names. The tables are described in
github.com/NationalGalleryOfArt/opendata, documentation/Data Dictionary.txt.
"""

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from src.config.data import Nga
from src.config.enums import View
from src.config.validation import is_address
from src.errors import UserError, did_you_mean
from src.gallery.gallery import sample
from src.io.tables import read_columns

log = logging.getLogger(__name__)

# What is read of each table; a column with ? is absent in one of the schemas (2023 to 2025, 2026).
COLUMNS = {
    "published_images.csv": "uuid iiifurl iiifthumburl viewtype sequence width height maxpixels"
    " ?openaccess depictstmsobjectid",
    "objects.csv": "objectid title displaydate beginyear endyear medium classification",
    "objects_constituents.csv": "objectid constituentid displayorder roletype",
    "constituents.csv": "constituentid forwarddisplayname nationality",
    "objects_terms.csv": "objectid termtype term",
}
SCHEMA = {name: columns.split() for name, columns in COLUMNS.items()}
LARGEST = 4096  # pixels of a side that the museum's server gives
TERMS = {"school": "School", "style": "Style", "theme": "Theme", "technique": "Technique"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Catalog:
    """The images that were asked for. works has one row an image, all columns strings: what
    works.csv holds but for the image's own facts (width, height, sha256)."""

    works: pd.DataFrame
    published: frozenset[str]  # every image_id of the tables, asked for or not
    counts: dict[str, int] = field(default_factory=dict)  # what was read, left out, damaged


def read_catalog(tables: Path, options: Nga, seed: int) -> Catalog:
    """The images that the options select, ordered by object, primary view first.

    The same options and tables give the same list in the same order, whatever the order of the
    images' rows. Raises UserError for a table that is missing or lacks a column, and for a
    selection that leaves less than two images.
    """
    counts: dict[str, int] = {}
    images = _images(tables, options, counts)
    published = frozenset(images["image_id"])
    objects = _objects(tables, counts)
    counts["of no known object"] = int((~images["object_id"].isin(objects.index)).sum())
    works = images.join(objects, on="object_id").fillna("")
    works = _select(works, options, counts)
    works = works.join(_artists(tables, works["object_id"], counts), on="object_id")
    works = works.join(_terms(tables, works["object_id"], counts), on="object_id").fillna("")
    works = _by_artist(works, options.artists)
    _report(counts, len(works))
    chosen = set(sample(list(works["image_id"]), options.limit, seed))
    works = _ordered(works[works["image_id"].isin(chosen)])
    if len(works) < 2:
        raise UserError(
            f"the selection leaves {len(works)} images, at least 2 are needed: widen"
            " data.classification, data.view, data.artists, data.limit or data.open_access"
        )
    return Catalog(works, published, counts)


def _read(tables: Path, name: str, counts: dict[str, int]) -> pd.DataFrame:
    table, ragged = read_columns(tables / name, SCHEMA[name])
    if ragged:
        counts[f"damaged rows of {name}"] = ragged
    return table


def _images(tables: Path, options: Nga, counts: dict[str, int]) -> pd.DataFrame:
    table = _read(tables, "published_images.csv", counts)
    counts["published images"] = len(table)
    table["uuid"] = table["uuid"].str.lower()
    table["url"] = _addresses(table, options)
    rows = zip(table["uuid"], table["url"], strict=True)
    sound = np.array([bool(UUID.fullmatch(u)) and is_address(a) for u, a in rows], dtype=bool)
    for row in table[~sound].head(3).itertuples():
        log.warning("left out, no uuid or no http(s) address: %.80r, %.120r", row.uuid, row.url)
    counts["refused, no uuid or no http(s) address"] = int((~sound).sum())
    table = _first_of_each(table[sound], "uuid")
    counts["listed more than once"] = int(sound.sum()) - len(table)
    names = {"uuid": "image_id", "depictstmsobjectid": "object_id", "viewtype": "view"}
    return table.rename(columns=names).drop(columns=["iiifurl", "iiifthumburl"])


def _addresses(table: pd.DataFrame, options: Nga) -> pd.Series:
    """Each image's address at the size asked for.

    https://iiif.io/api/image/2.1/#size: !w,h fits the picture into w by h. More pixels than the
    picture has, than maxpixels allows or than the server gives are never asked for.
    """
    if options.image_size == "thumb":
        return table["iiifthumburl"]
    own = table[["width", "height"]].apply(_whole).max(axis=1, skipna=False)
    limits = pd.concat([own, _whole(table["maxpixels"])], axis=1).min(axis=1)
    most = min(options.longer_side or LARGEST, LARGEST)
    side = limits.clip(upper=most).fillna(most).astype(int).astype(str)
    return table["iiifurl"].str.rstrip("/") + "/full/!" + side + "," + side + "/0/default.jpg"


def _whole(texts: pd.Series) -> pd.Series:
    """Positive whole numbers; NaN for anything else."""
    numbers = pd.to_numeric(texts, errors="coerce")
    return numbers.where((numbers >= 1) & np.isfinite(numbers))


def _objects(tables: Path, counts: dict[str, int]) -> pd.DataFrame:
    table = _read(tables, "objects.csv", counts)
    rows, table = len(table), _first_of_each(table, "objectid")
    counts["objects listed more than once"] = rows - len(table)
    table = table.assign(decade=_decades(table)).rename(columns={"displaydate": "date"})
    return table.set_index("objectid").drop(columns=["beginyear", "endyear"])


def _first_of_each(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row of each value; of several always the same one, whatever the order of the rows."""
    several = table[column].duplicated(keep=False)
    ordered = table[several].sort_values(table.columns.tolist()).drop_duplicates(column)
    return pd.concat([table[~several], ordered])


def _decades(objects: pd.DataFrame) -> pd.Series:
    """The decade of beginyear, such as 1630s, where the years span ten at most.

    Without a displaydate it is empty: the years are then the artist's life (Data Dictionary).
    """
    years = (pd.to_numeric(objects[c], errors="coerce") for c in ("beginyear", "endyear"))
    begin, end = (year.where(year.between(-9999, 9999)).astype(float) for year in years)
    known = (end - begin).between(0, 10) & (objects["displaydate"] != "")
    decades = (begin.where(known) // 10 * 10).astype("Int64").astype("string") + "s"
    return decades.fillna("").astype(object)


def _select(works: pd.DataFrame, options: Nga, counts: dict[str, int]) -> pd.DataFrame:
    kinds, wanted = works["classification"].str.casefold(), options.classification.casefold()
    if wanted != "all":
        if wanted not in set(kinds):
            known = works.loc[works["classification"] != "", "classification"].value_counts()
            listed = ", ".join(f"{kind} ({count})" for kind, count in known.head(15).items())
            raise UserError(
                f"data.classification={options.classification}: no published image is of that"
                f" kind; all takes every image; there are {listed}"
            )
        works = works[kinds == wanted]
        counts[f"classification {options.classification}"] = len(works)
    if options.view is View.primary:
        works = works[works["view"].str.casefold() == "primary"]
        counts["primary views"] = len(works)
    if options.open_access and "openaccess" in works:
        works = works[works["openaccess"] == "1"]
        counts["open access (CC0)"] = len(works)
    elif options.open_access:
        log.warning(
            "published_images.csv has no column openaccess, so the rights of its images are not"
            " known: not every one is CC0"
        )
    return works.drop(columns="openaccess", errors="ignore")


def _artists(tables: Path, wanted: pd.Series, counts: dict[str, int]) -> pd.DataFrame:
    """Each object's first artist by display order: name and nationality, by object_id."""
    roles = _read(tables, "objects_constituents.csv", counts)
    people = _first_of_each(_read(tables, "constituents.csv", counts), "constituentid")
    roles = roles[(roles["roletype"].str.casefold() == "artist") & roles["objectid"].isin(wanted)]
    order = pd.to_numeric(roles["displayorder"], errors="coerce")
    roles = roles.assign(order=order).sort_values("order", kind="stable", na_position="last")
    first = roles.drop_duplicates("objectid").merge(people, on="constituentid")
    names = {"forwarddisplayname": "artist", "objectid": "object_id"}
    return _tidy(first.rename(columns=names).set_index("object_id")[["artist", "nationality"]])


def _terms(tables: Path, wanted: pd.Series, counts: dict[str, int]) -> pd.DataFrame:
    """Each object's school, style, theme and technique: the first in the table, and in a second
    column (schools, ...) all of them; by object_id."""
    terms = _read(tables, "objects_terms.csv", counts)
    terms = terms[terms["objectid"].isin(wanted) & (terms["term"] != "")]
    names, kinds = {kind.casefold(): name for name, kind in TERMS.items()}, terms["termtype"]
    found: dict[str, dict[str, dict[str, None]]] = {name: {} for name in TERMS}
    rows = zip(terms["objectid"], kinds.str.casefold(), terms["term"], strict=True)
    for thing, kind, term in rows:
        if kind in names:
            found[names[kind]].setdefault(thing, {})[term] = None
    columns = {}
    for name, terms_of in found.items():
        columns[name] = pd.Series({thing: next(iter(own)) for thing, own in terms_of.items()})
        columns[f"{name}s"] = pd.Series({thing: "; ".join(own) for thing, own in terms_of.items()})
    return _tidy(pd.DataFrame(columns, dtype=object))


def _tidy(labels: pd.DataFrame) -> pd.DataFrame:
    """Texts without line breaks and doubled spaces; empty where unknown."""
    known = labels.fillna("")
    texts = {column: [" ".join(t.split()) for t in known[column]] for column in known}
    return pd.DataFrame(texts, index=labels.index, dtype=object)


def _by_artist(works: pd.DataFrame, artists: list[str]) -> pd.DataFrame:
    known = {name.casefold(): name for name in works["artist"] if name}
    for artist in artists:
        if artist.casefold() not in known:
            similar = did_you_mean(artist, known.values())
            raise UserError(f"data.artists: the selection has no artist {artist}{similar}")
    chosen = {artist.casefold() for artist in artists}
    return works[works["artist"].str.casefold().isin(chosen)] if chosen else works


def _ordered(works: pd.DataFrame) -> pd.DataFrame:
    """By object number, primary views first, then the museum's sequence and the image_id."""
    keys = pd.DataFrame(
        {
            "object": pd.to_numeric(works["object_id"], errors="coerce"),
            "alternate": works["view"].str.casefold() != "primary",
            "sequence": pd.to_numeric(works["sequence"], errors="coerce"),
            "image_id": works["image_id"],
        }
    )
    works = works.loc[keys.sort_values(keys.columns.tolist()).index].reset_index(drop=True)
    texts = ["title", "date", "classification", "medium"]
    works[texts] = _tidy(works[texts])
    works["file"] = works["image_id"].str[:2] + "/" + works["image_id"] + ".jpg"
    return works.drop(columns=["sequence", "width", "height", "maxpixels"])


def _report(counts: dict[str, int], selected: int) -> None:
    read = [f"{count} {what}" for what, count in counts.items() if count]
    log.info("catalog: %s; %d images selected", ", ".join(read), selected)
