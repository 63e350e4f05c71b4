"""The tables of the National Gallery of Art, read into one table of images and their labels.

Only this file, nga.py and src.demo know the museum's column names. The tables are described in
github.com/NationalGalleryOfArt/opendata, documentation/Data Dictionary.txt. Every function returns
a table with string columns, "" for unknown values, and counts of what it read and skipped.
"""

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd

from src.config.addresses import has_user
from src.config.data import Nga
from src.config.validation import is_address
from src.io.printable import one_line
from src.io.tables import read_columns

log = logging.getLogger(__name__)

# The columns that are read; one with ? is missing in one of the schemas (2023 to 2025, 2026).
COLUMNS = {
    "published_images.csv": "uuid iiifurl iiifthumburl viewtype sequence width height maxpixels"
    " ?openaccess depictstmsobjectid ?assistivetext",
    "objects.csv": "objectid title displaydate beginyear endyear medium classification ?wikidataid",
    "objects_constituents.csv": "objectid constituentid displayorder roletype",
    "constituents.csv": "constituentid forwarddisplayname nationality",
    "objects_terms.csv": "objectid termtype term",
}
SCHEMA = {name: columns.split() for name, columns in COLUMNS.items()}
MAX_SIDE = 4096  # pixels; the museum's server sends no larger image
MAX_YEARS = 10  # from beginyear to endyear, for a work to have a decade
TERM_TYPES = {"school": "School", "style": "Style", "theme": "Theme", "technique": "Technique"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Counts = dict[str, int]  # numbers of rows by description, for the log


def _read(tables: Path, name: str) -> tuple[pd.DataFrame, Counts]:
    table, damaged = read_columns(tables / name, SCHEMA[name])
    return table, {f"damaged rows of {name}": damaged} if damaged else {}


def read_images(tables: Path, options: Nga) -> tuple[pd.DataFrame, Counts]:
    """Return all published images with a valid id and URL, one row each, in arbitrary order.

    Columns: image_id, object_id, url, iiif (the address without a size), view, sequence, width,
    height, maxpixels, and where the schema has them openaccess and assistive_text, what is seen.
    """
    table, counts = _read(tables, "published_images.csv")
    counts["published images"] = len(table)
    table["uuid"] = table["uuid"].str.lower()
    table["url"] = _urls(table, options)
    rows = zip(table["uuid"], table["url"], strict=True)
    valid = np.array([bool(UUID.fullmatch(u)) and _is_plain(url) for u, url in rows], dtype=bool)
    for row in table[~valid].head(3).itertuples():
        log.warning("skipped, invalid uuid or URL: %.80r, %.120r", row.uuid, row.url)
    counts["skipped, invalid uuid or URL"] = int((~valid).sum())
    table = _unique_rows(table[valid], "uuid")
    counts["listed more than once"] = int(valid.sum()) - len(table)
    names = {"uuid": "image_id", "depictstmsobjectid": "object_id", "viewtype": "view"}
    names |= {"iiifurl": "iiif", "assistivetext": "assistive_text"}
    return table.rename(columns=names).drop(columns="iiifthumburl"), counts


def _is_plain(url: str) -> bool:
    """Return whether a URL names a host and a path: no user, no query, no fragment.

    A query or a fragment in iiifurl would cut off the path of the image that is added to it.
    """
    return is_address(url) and not has_user(url) and "?" not in url and "#" not in url


def _urls(table: pd.DataFrame, options: Nga) -> pd.Series:
    """Return the URL of each image at the size that the options ask for.

    https://iiif.io/api/image/2.1/#size: !w,h fits the picture into w by h. The size is limited by
    the picture, by its maxpixels and by the server, because IIIF servers refuse to enlarge.
    """
    if options.image_size == "thumb":
        return table["iiifthumburl"]
    picture = table[["width", "height"]].apply(_positive).max(axis=1, skipna=False)
    limits = pd.concat([picture, _positive(table["maxpixels"])], axis=1).min(axis=1)
    max_side = min(options.max_side or MAX_SIDE, MAX_SIDE)
    side = limits.clip(upper=max_side).fillna(max_side).astype(int).astype(str)
    return table["iiifurl"].str.rstrip("/") + "/full/!" + side + "," + side + "/0/default.jpg"


def _positive(texts: pd.Series) -> pd.Series:
    """Return finite numbers of at least 1, NaN for anything else."""
    numbers = pd.to_numeric(texts, errors="coerce")
    return numbers.where((numbers >= 1) & np.isfinite(numbers))


def read_objects(tables: Path) -> tuple[pd.DataFrame, Counts]:
    """Return title, date, medium, classification and decade of all objects, by objectid.

    Also wikidata, their Wikidata ids, where the schema has them.
    """
    table, counts = _read(tables, "objects.csv")
    rows, table = len(table), _unique_rows(table, "objectid")
    counts["objects listed more than once"] = rows - len(table)
    table = table.assign(decade=_decades(table)).rename(columns={"displaydate": "date"})
    table = table.rename(columns={"wikidataid": "wikidata"}).set_index("objectid")
    return table.drop(columns=["beginyear", "endyear"]), counts


def _unique_rows(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return one row per value of a column; the same one whatever the order of the rows."""
    duplicated = table[column].duplicated(keep=False)
    ordered = table[duplicated].sort_values(table.columns.tolist()).drop_duplicates(column)
    return pd.concat([table[~duplicated], ordered])


def _decades(objects: pd.DataFrame) -> pd.Series:
    """Return the decade of beginyear, such as 1630s, "" if the years span more than ten.

    Also "" without a displaydate: the years are then the artist's life (Data Dictionary).
    """
    years = (pd.to_numeric(objects[c], errors="coerce") for c in ("beginyear", "endyear"))
    begin, end = (year.where(year.between(-9999, 9999)).astype(float) for year in years)
    is_dated = (end - begin).between(0, MAX_YEARS) & (objects["displaydate"] != "")
    decades = (begin.where(is_dated) // 10 * 10).astype("Int64").astype("string") + "s"
    return decades.fillna("").astype(object)


def read_artists(tables: Path, object_ids: pd.Series) -> tuple[pd.DataFrame, Counts]:
    """Return artist and nationality of each object's first artist by display order, by object_id.

    Also all_artists, the names of all in that order, joined by semicolons. Objects without a known
    first artist have no row.
    """
    roles, role_counts = _read(tables, "objects_constituents.csv")
    people, people_counts = _read(tables, "constituents.csv")
    is_artist = roles["roletype"].str.casefold() == "artist"
    roles = roles[is_artist & roles["objectid"].isin(object_ids)]
    order = pd.to_numeric(roles["displayorder"], errors="coerce")
    roles = roles.assign(order=order).sort_values("order", kind="stable", na_position="last")
    people = _unique_rows(people, "constituentid")
    first = roles.drop_duplicates("objectid").merge(people, on="constituentid")
    names = {"forwarddisplayname": "artist", "objectid": "object_id"}
    artists = first.rename(columns=names).set_index("object_id")[["artist", "nationality"]]
    known = roles.merge(people, on="constituentid")  # in the order of roles
    listed = known.assign(name=known["forwarddisplayname"].str.replace(";", ","))
    together = listed[listed["name"] != ""].drop_duplicates(["objectid", "name"])
    artists["all_artists"] = together.groupby("objectid", sort=False)["name"].agg("; ".join)
    return normalize_spaces(artists), role_counts | people_counts


def read_terms(tables: Path, object_ids: pd.Series) -> tuple[pd.DataFrame, Counts]:
    """Return school, style, theme and technique of each object, by object_id.

    The first term in the table is the label; columns schools, styles, ... hold all of them, joined
    by semicolons.
    """
    table, counts = _read(tables, "objects_terms.csv")
    table = table[table["objectid"].isin(object_ids) & (table["term"] != "")]
    labels = {term_type.casefold(): label for label, term_type in TERM_TYPES.items()}
    terms: dict[str, dict[str, dict[str, None]]] = {label: {} for label in TERM_TYPES}
    rows = zip(table["objectid"], table["termtype"].str.casefold(), table["term"], strict=True)
    for object_id, term_type, term in rows:
        if term_type in labels:  # a dict without values is an ordered set
            terms[labels[term_type]].setdefault(object_id, {})[term] = None
    columns = {}
    for label, by_object in terms.items():
        columns[label] = pd.Series({key: next(iter(names)) for key, names in by_object.items()})
        columns[f"{label}s"] = pd.Series({key: "; ".join(n) for key, n in by_object.items()})
    return normalize_spaces(pd.DataFrame(columns, dtype=object)), counts


def normalize_spaces(labels: pd.DataFrame) -> pd.DataFrame:
    """Return the texts on one line, without invisible characters, "" for missing ones."""
    filled = labels.fillna("")
    texts = {column: [one_line(text) for text in filled[column]] for column in filled}
    return pd.DataFrame(texts, index=labels.index, dtype=object)
