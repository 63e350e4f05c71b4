"""Read collections and manifests of the IIIF Presentation API, versions 2 and 3, into one shape.

https://iiif.io/api/presentation/3.0/ and 2.1. Pure functions of parsed JSON that anybody may have
written: what has another type than it should is left out, and counted where it was an image.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from src.config.addresses import has_user
from src.config.validation import is_address
from src.gallery.iiif.image_service import Service, number, read_service
from src.gallery.iiif.texts import texts
from src.io.json_text import Json, as_list

MAX_PAIRS = 200  # of metadata of a manifest or canvas
MAX_PICTURES = 100  # of a canvas
MAX_EMBEDDED = 5  # collections that stand in each other in one document
OTHER_MEDIA = {"video", "sound", "audio", "movingimage", "text", "textualbody", "document"}
OTHER_MEDIA |= {"dataset", "model"}
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
class Picture:
    """An image on a canvas."""

    url: str  # as the manifest gives it
    width: int = 0  # pixels, 0 if the manifest does not say
    height: int = 0
    service: Service | None = None


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


def kind(node: Json) -> str:
    """Return the type of a resource in lower case, without a prefix such as sc: or dctypes:."""
    value = node.get("type") or node.get("@type")
    value = value[0] if isinstance(value, list) and value else value
    return value.rpartition(":")[2].casefold() if isinstance(value, str) else ""


def address(node: Any) -> str:
    """Return the http(s) address of a resource or a text, without a fragment; "" if it has none."""
    value = (node.get("id") or node.get("@id")) if isinstance(node, dict) else node
    if not isinstance(value, str):
        return ""
    text = value.strip().partition("#")[0]
    return text if is_address(text) and not has_user(text) else ""


def objects(value: Any) -> list[Json]:
    """Return the JSON objects of a list, or of a single one."""
    return [item for item in as_list(value) if isinstance(item, dict)]


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
    bodies = list(islice(_bodies(node), MAX_PICTURES))
    pictures, reasons = [], Counter[str]()
    for body in bodies:
        picture = _picture(body)
        if isinstance(picture, Picture):
            pictures.append(picture)
        else:
            reasons[picture] += 1
    skipped.update(reasons)
    if not bodies:
        skipped["canvases without an image"] += 1
    label = _first(node.get("label"), language)
    return Canvas(label, _pairs(node.get("metadata"), language), tuple(pictures))


def _bodies(canvas: Json) -> Iterator[Json]:
    """Yield the body of each annotation that paints a canvas; of a choice, its first."""
    annotations = objects(canvas.get("images"))  # Presentation 2
    for page in objects(canvas.get("items")):
        annotations += objects(page.get("items"))
    for annotation in annotations:
        motivation = annotation.get("motivation", "painting")
        if any(isinstance(m, str) and m.endswith("painting") for m in as_list(motivation)):
            for body in as_list(annotation.get("body", annotation.get("resource"))):
                yield from _chosen({"id": body} if isinstance(body, str) else body)


def _chosen(body: Any) -> Iterator[Json]:
    """Yield the resource that a body stands for: the first of a choice, the whole of a part."""
    while isinstance(body, dict):
        match kind(body):
            case "choice":  # items: Presentation 3; default, item: Presentation 2
                options = body.get("items") or body.get("default") or body.get("item")
            case "specificresource":
                options = body.get("source") or body.get("full")
                options = {"id": options, "type": "Image"} if isinstance(options, str) else options
            case _:
                yield body
                return
        body = next(iter(as_list(options)), None)


def _picture(body: Json) -> Picture | str:
    """Return the image that a body is, or as a text why it is none."""
    media = body.get("format")
    is_other = isinstance(media, str) and not media.casefold().startswith("image/")
    if kind(body) in OTHER_MEDIA or (is_other and kind(body) != "image"):
        return "other media, such as video, sound and text"
    service, url = read_service(body.get("service")), address(body)
    if service is None and not url:
        return "images without a usable address"
    return Picture(url, number(body.get("width")), number(body.get("height")), service)
