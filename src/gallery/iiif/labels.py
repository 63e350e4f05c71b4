"""Columns of works.csv from the pairs of metadata that manifests and canvases have."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from src.evaluation.metrics import reserved_group
from src.gallery.gallery import LISTS, NON_LABEL_COLUMNS
from src.gallery.iiif.presentation import Canvas, Manifest, Pairs

MAX_COLUMNS = 40  # of metadata, beside those that every museum has
MAX_NAME = 60  # characters of a column's name
MAX_CELL = 4_000  # characters
MAX_YEARS = 10  # from the first to the last year, for a work to have a decade
YEAR = re.compile(r"(?<!\d)(1\d{3}|20\d{2})(?!\d)")
# Labels in the form of column_name that stand for a column, in the languages of many collections
WELL_KNOWN = {
    "artist": "artist artists creator creators maker makers author authors painter artist_maker"
    " artist_s creator_s created_by künstler künstlerin künstler_in urheber maler autor artiste"
    " auteur créateur peintre artista autore creatore pittore pintor autores kunstenaar"
    " vervaardiger schilder konstnär kunstner upphovsperson",
    "date": "date dates dated date_created date_made creation_date date_of_creation date_s created"
    " datierung datum entstehungszeit entstehungsdatum jahr date_de_création année fecha año data"
    " anno datazione datering year",
    "title": "title titles titel titre título titolo",
    "classification": "classification classifications object_type object_name type work_type"
    " type_of_object objekttyp objektart gattung type_d_objet tipo objecttype",
    "medium": "medium media material materials material_s materials_and_techniques"
    " medium_and_support materials_techniques material_technik technique_et_matériaux técnica"
    " tecnica materiaal",
    "nationality": "nationality artist_nationality",
    "school": "school schule école",
    "style": "style stil styles",
    "theme": "theme themes",
    "technique": "technique techniques technik",
}
COLUMN_OF = {label: column for column, labels in WELL_KNOWN.items() for label in labels.split()}
Row = dict[str, str]


@lru_cache(maxsize=10_000)  # the same few in all manifests
def column_name(label: str) -> str:
    """Return a label as the name of a column: lower case, with _ for what is no letter or digit.

    What names a column of the program's own has metadata_ in front. "" if nothing is left.

    >>> column_name("Artist / Maker"), column_name("SHA256"), column_name("(?)")
    ('artist_maker', 'metadata_sha256', '')
    """
    text = unicodedata.normalize("NFC", label).casefold()
    name = re.sub(r"[\W_]+", "_", text)[:MAX_NAME].strip("_")
    is_ours = name in NON_LABEL_COLUMNS and name not in COLUMN_OF
    return f"metadata_{name}" if name and (is_ours or reserved_group(name)) else name


def row_labels(manifest: Manifest, canvas: Canvas) -> Row:
    """Return the labels of a view: of its object, and its own in their place. Columns by name."""
    labels = columns_of(manifest.metadata) | columns_of(canvas.metadata)
    title = labels.pop("title", "")
    several = len(manifest.canvases) > 1 and canvas.label not in ("", manifest.label)
    named = [manifest.label or title, canvas.label if several else ""]
    row = {"title": ": ".join(filter(None, named))} | labels
    row |= {"rights": manifest.rights, "attribution": manifest.attribution}
    row |= {"page": manifest.page, "wikidata": manifest.wikidata}
    return row | ({"decade": decade} if (decade := _decade(row.get("date", ""))) else {})


def columns_of(pairs: Pairs) -> Row:
    """Return pairs of metadata as columns; several values are joined by semicolons.

    A label that the museum has as one value, such as artist, is the first of them; all are in the
    column of its list, all_artists.
    """
    values: dict[str, dict[str, None]] = {}
    for label, texts in pairs:
        if name := column_name(label):
            column = COLUMN_OF.get(name, name)
            values.setdefault(column, {}).update(dict.fromkeys(texts))
    row = Row()
    for column, named in values.items():
        row[column] = next(iter(named)) if column in LISTS else _joined(named)
        if column in LISTS:
            row[LISTS[column]] = _joined(named)
    return row


def _joined(values: Iterable[str]) -> str:
    return "; ".join(value.replace(";", ",") for value in values)[:MAX_CELL]


def _decade(date: str) -> str:
    """Return the decade of a date that names one year, or several close ones; "" of others."""
    years = [int(year) for year in YEAR.findall(date)]
    is_dated = years and max(years) - min(years) <= MAX_YEARS
    return f"{min(years) // 10 * 10}s" if is_dated else ""


def frequent_columns(rows: Sequence[Row], standard: Iterable[str]) -> tuple[list[str], int]:
    """Return the columns of rows that are kept, and how many others are left out.

    All standard ones are, and the MAX_COLUMNS that most rows have, in order of appearance.
    """
    counts = Counter(column for row in rows for column in row)
    known = set(standard)
    others = [column for column in counts if column not in known]
    kept = set(sorted(others, key=lambda column: -counts[column])[:MAX_COLUMNS]) | known
    return [column for column in counts if column in kept], len(others) - len(kept - known)
