"""Read collections and manifests of the IIIF Presentation API, versions 2 and 3, into one shape.

https://iiif.io/api/presentation/3.0/ and 2.1. Pure functions of parsed JSON that anybody may have
written: what has another type than it should is left out, and counted where it was an image.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from src.gallery.iiif.bodies import Picture, painted
from src.gallery.iiif.resources import address, kind, objects
from src.gallery.iiif.texts import texts
from src.io.json_text import Json, as_list

MAX_PAIRS = 200  # of metadata of a manifest or canvas
MAX_PICTURES = 100  # of a canvas
MAX_EMBEDDED = 5  # collections that stand in each other in one document
WIKIDATA = re.compile(
    r"https?://(?:www\.)?wikidata\.org/(?:wiki|entity)/(?:Special:EntityData/)?(Q\d{1,12})\b.*"
)
Pairs = tuple[tuple[str, tuple[str, ...]], ...]  # labels and their values


@dataclass(frozen=True)
class Reference:
    """A document that another one names."""

    url: str
    is_collection: bool = False  # as the other one says
    is_page: bool = False  # a further part of a collection, no collection of its own


@dataclass(frozen=True)
class Canvas:
    """A view of an object, with one image or several parts of one."""

    label: str
    metadata: Pairs
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Manifest:
    """An object with its views. Texts are "" where the manifest has none."""

    url: str
    label: str = ""
    metadata: Pairs = ()
    rights: str = ""
    attribution: str = ""
    page: str = ""  # address of the institution's page
    wikidata: str = ""  # Q and a number
    canvases: tuple[Canvas, ...] = ()
    skipped: Counter[str] = field(default_factory=Counter)  # by description


@dataclass(frozen=True)
class Collection:
    """Documents in the order of their collection, some of them embedded in it."""

    url: str
    label: str = ""
    members: tuple["Reference | Collection | Manifest", ...] = ()
    invalid: int = 0  # members without a usable address


def read_document(node: Json, url: str, language: str) -> Collection | Manifest | None:
    """Return the collection or manifest that a document is, None if it is neither.

    `url` stands in where it does not name itself. `language` is that of its texts.
    """
    match kind(node):
        case "collection" | "collectionpage":
            return _collection(node, url, language, 0)
        case "manifest":
            return _manifest(node, url, language)
    return None


def _first(node: Any, language: str) -> str:
    return next(iter(texts(node, language)), "")


def _collection(node: Json, url: str, language: str, depth: int) -> Collection:
    """Read a collection, or a page of one."""
    members, invalid = list[Reference | Collection | Manifest](), 0
    for name in ("members", "collections", "manifests", "items"):
        for member in objects(node.get(name)):
            found = _member(member, kind(member) or name, language, depth)
            members += [found] if found else []
            invalid += found is None
    for name in ("first", "next"):
        if page := address(node.get(name)):
            members.append(Reference(page, is_collection=True, is_page=True))
    own = address(node) or url
    return Collection(own, _first(node.get("label"), language), tuple(members), invalid)


def _member(
    node: Json, named: str, language: str, depth: int
) -> "Reference | Collection | Manifest | None":
    """Return what a collection lists: embedded if it has content, else a reference."""
    url, is_collection = address(node), named.startswith("collection")
    if not is_collection and any(node.get(key) for key in ("items", "sequences")):
        return _manifest(node, url, language) if url else None
    inner = ("items", "members", "manifests", "collections", "first")
    if is_collection and depth < MAX_EMBEDDED and any(node.get(key) for key in inner):
        return _collection(node, url, language, depth + 1)
    return Reference(url, is_collection) if url else None


def _manifest(node: Json, url: str, language: str) -> Manifest:
    skipped = Counter[str]()
    nodes = objects(node.get("items"))
    for sequence in objects(node.get("sequences"))[:1]:  # others are orders of the same canvases
        nodes += objects(sequence.get("canvases"))
    canvases = tuple(_canvas(canvas, language, skipped) for canvas in nodes)
    required = node.get("requiredStatement")
    statement = required.get("value") if isinstance(required, dict) else node.get("attribution")
    rights = node.get("rights") or node.get("license")
    pages = [*as_list(node.get("homepage")), *as_list(node.get("related"))]
    return Manifest(
        url=address(node) or url,
        label=_first(node.get("label"), language),
        metadata=_pairs(node.get("metadata"), language),
        rights=next(filter(None, map(address, as_list(rights))), ""),
        attribution="; ".join(texts(statement, language)),
        page=next(filter(None, map(address, pages)), ""),
        wikidata=_wikidata([*as_list(node.get("seeAlso")), *as_list(node.get("related"))]),
        canvases=canvases,
        skipped=skipped,
    )


def _wikidata(nodes: list[Any]) -> str:
    """Return the Wikidata id that one of the linked addresses has."""
    found = (WIKIDATA.fullmatch(address(node)) for node in nodes[:MAX_PAIRS])
    return next((match[1] for match in found if match), "")


def _pairs(value: Any, language: str) -> Pairs:
    """Return the pairs of metadata that have a label and values."""
    pairs = []
    for pair in objects(value)[:MAX_PAIRS]:
        names, values = texts(pair.get("label"), language), texts(pair.get("value"), language)
        if names and values:
            pairs.append((names[0], tuple(values)))
    return tuple(pairs)


def _canvas(node: Json, language: str, skipped: Counter[str]) -> Canvas:
    """Read a canvas, and count why it has no image, or what else is on it."""
    found = list(islice(painted(node), MAX_PICTURES))
    skipped.update(reason for reason in found if isinstance(reason, str))
    if not found:
        skipped["canvases without an image"] += 1
    pictures = tuple(picture for picture in found if isinstance(picture, Picture))
    label = _first(node.get("label"), language)
    return Canvas(label, _pairs(node.get("metadata"), language), pictures)
