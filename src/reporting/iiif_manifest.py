"""A painting and its neighbors as a manifest of the IIIF Presentation API, version 3.

https://iiif.io/api/presentation/3.0/ says what each property means, and who must have it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from src.config.addresses import public_uri
from src.gallery import Gallery
from src.gallery.captions import caption_of, date_of
from src.gallery.gallery import COLUMNS, LISTS
from src.gallery.rights import CC0, rights_uri
from src.io.printable import printable
from src.reporting.iiif_images import Picture, Resource, WebImage, work_of
from src.reporting.phrases import is_of_nga, name_collection
from src.reporting.text import counted

CONTEXT = "http://iiif.io/api/presentation/3/context.json"
MEDIA_TYPE = f'application/ld+json;profile="{CONTEXT}"'
MOST_CANVASES = 200
MOST_NEIGHBORS = MOST_CANVASES - 1  # the first canvas is the painting's own
MAX_LABEL = 200  # characters; a longer title is whole in the metadata
ENTITY = re.compile(r"(?:https?://(?:www\.)?wikidata\.org/(?:entity|wiki)/)?(Q[1-9][0-9]{0,11})")
WIKIDATA_MODEL = "https://www.mediawiki.org/wiki/Wikibase/DataModel/JSON"
STATEMENT = "requiredStatement"
NGA_PAGE, NGA_ENTITY = "https://www.nga.gov/", "http://www.wikidata.org/entity/Q214867"

Pictures = Callable[[int], Picture]  # of rows


def manifest(
    address: str,
    gallery: Gallery,
    row: int,
    neighbors: Sequence[tuple[int, float]],
    pictures: Pictures,
    about: Mapping[str, str],
) -> Resource:
    """Return the manifest of a row and its neighbors, best first: rows and scores.

    `address` is where it is published, or will be: the URI that it is known by. A canvas for each
    image, the painting first; their URIs begin as that of the manifest. `about` has what is said
    about the list, by name.
    """
    columns = dict.fromkeys(["artist", "date", *gallery.label_columns(), "medium", "rights"])
    canvases = _Canvases(address, gallery, [*columns], pictures)
    items = [canvases.canvas(row, {}), *starmap(canvases.ranked, enumerate(neighbors, 1))]
    similar = counted(len(neighbors), "similar image")
    found: Resource = {
        "@context": CONTEXT,
        "id": address,
        "type": "Manifest",
        "label": {"en": [f"{shortened(gallery.caption(row))} and {similar}"]},
        "summary": {"en": [plain(" ".join(f"{text}." for text in about.values()))]},
        "metadata": [entry(name, plain(text)) for name, text in about.items()],
    }
    if is_of_nga(gallery):
        found |= _nga(gallery, all(canvas.get("rights") == CC0 for canvas in items))
    elif named := [c[STATEMENT]["value"]["none"][0] for c in items if STATEMENT in c]:
        found[STATEMENT] = entry("Attribution", *dict.fromkeys(named))
    if "thumbnail" in items[0]:
        found["thumbnail"] = items[0]["thumbnail"]
    return found | {"behavior": ["individuals"], "items": items}


def manifest_text(found: Resource) -> str:
    """Return a manifest as JSON to write."""
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def _nga(gallery: Gallery, is_open: bool) -> Resource:
    """Return whom images of the National Gallery of Art are from."""
    name = {"en": [name_collection(gallery, False)]}
    statement = {"en": [name_collection(gallery, is_open)]}
    page = {"id": NGA_PAGE, "type": "Text", "label": name, "format": "text/html"}
    agent = {"id": NGA_ENTITY, "type": "Agent", "label": name, "homepage": [page]}
    attribution = {"label": {"en": ["Attribution"]}, "value": statement}
    return {STATEMENT: attribution, "provider": [agent]}


@dataclass(frozen=True)
class _Canvases:
    """The canvases of a manifest at an address."""

    address: str
    gallery: Gallery
    columns: list[str]  # of works.csv that clients show beside an image
    pictures: Pictures

    def ranked(self, rank: int, neighbor: tuple[int, float]) -> Resource:
        """Return the canvas of a neighbor: its row and its score."""
        row, score = neighbor
        return self.canvas(row, {"Rank": str(rank), "Cosine similarity": f"{score:.4f}"})

    def canvas(self, row: int, facts: Mapping[str, str]) -> Resource:
        """Return the canvas of a row: what is known of the image, then facts, and the image."""
        work, picture = work_of(self.gallery, row), self.pictures(row)
        title = plain(caption_of(work).title) or plain(self.gallery.files[row])
        found: Resource = {
            "id": part(self.address, "canvas", row),
            "type": "Canvas",
            "label": {"none": [shortened(title)]},
            "width": picture.size[0],
            "height": picture.size[1],
        }
        if said := plain(work.get("assistive_text", "")):
            found["summary"] = {"none": [said]}
        if lines := [*self._metadata(work, title), *(entry(*fact) for fact in facts.items())]:
            found["metadata"] = lines
        found |= _links(work)
        if self.gallery.name.startswith("iiif-") and (uri := public_uri(work.get("object_id", ""))):
            found["partOf"] = [{"id": uri, "type": "Manifest"}]  # where data=iiif has read of it
        if picture.thumbnail:
            found["thumbnail"] = [picture.thumbnail.resource()]
        return found | {"items": [self._page(row, picture.image)]}

    def _metadata(self, work: Mapping[str, str], title: str) -> Iterator[Resource]:
        """Yield what is known of an image; of labels all values, and the title if it is cut."""
        if shortened(title) != title:
            yield entry("Title", title)
        known = {**work, "date": date_of(work)}
        for column in self.columns:
            listed = known.get(LISTS.get(column, "")) or known.get(column, "")
            values = listed.split("; ") if column in LISTS else [listed]
            texts = list(filter(None, map(plain, values)))
            if texts and column.strip():
                name = column.replace("_", " ")
                yield entry(name[:1].upper() + name[1:], *texts, is_english=column in COLUMNS)

    def _page(self, row: int, image: WebImage) -> Resource:
        """Return the annotation page that paints an image on the canvas of a row."""
        painting = {
            "id": part(self.address, "painting", row),
            "type": "Annotation",
            "motivation": "painting",
            "body": image.resource(),
            "target": part(self.address, "canvas", row),
        }
        page = part(self.address, "page", row)
        return {"id": page, "type": "AnnotationPage", "items": [painting]}


def part(address: str, kind: str, row: int) -> str:
    """Return the URI of a part of the manifest at an address, without a fragment.

    >>> part("http://127.0.0.1:8050/0/manifest/45.json?k=20", "canvas", 7)
    'http://127.0.0.1:8050/0/manifest/45/canvas/7?k=20'
    """
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.removesuffix('.json')}/{kind}/{row}"))


def entry(name: str, *values: str, is_english: bool = True) -> Resource:
    """Return a line of metadata: its name, in English or not, and values in any language."""
    return {"label": {"en" if is_english else "none": [plain(name)]}, "value": {"none": [*values]}}


def _links(work: Mapping[str, str]) -> Resource:
    """Return rights, the museum's page, and what programs may read elsewhere."""
    found: Resource = {}
    if attribution := plain(work.get("attribution", "")):
        found[STATEMENT] = entry("Attribution", attribution)
    if rights := rights_uri(work.get("rights", "")):
        found["rights"] = rights
    if page := public_uri(work.get("page", "")):
        label = {"en": ["The museum's page"]}
        found["homepage"] = [{"id": page, "type": "Text", "label": label, "format": "text/html"}]
    if entity := ENTITY.fullmatch(work.get("wikidata", "")):
        data = f"https://www.wikidata.org/wiki/Special:EntityData/{entity[1]}.json"
        about: dict[str, Any] = {"id": data, "type": "Dataset", "label": {"en": ["Wikidata"]}}
        found["seeAlso"] = [about | {"format": "application/json", "profile": WIKIDATA_MODEL}]
    return found


def plain(text: str) -> str:
    """Return text on one line on which all can be seen, and that no client takes for HTML.

    That is any that begins with < and ends with >; a blank behind it says that it is plain.
    """
    line = printable(" ".join(text.split()))
    return f"{line} " if line.startswith("<") and line.endswith(">") else line


def shortened(text: str) -> str:
    """Return text of at most MAX_LABEL characters."""
    return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}\N{HORIZONTAL ELLIPSIS}"
