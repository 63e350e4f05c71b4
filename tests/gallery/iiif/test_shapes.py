"""Manifests as institutions and the IIIF cookbook write them: which images, under which labels."""

from typing import Any

import pytest

from src.config.enums import View
from src.gallery.iiif.catalog import _works
from src.gallery.iiif.crawl import Found
from src.gallery.iiif.image_addresses import _address
from src.gallery.iiif.presentation import Manifest, read_document

HOST = "https://lib.org"
STANFORD = "http://library.stanford.edu/iiif/image-api/1.1/compliance.html#level2"
TWO = "http://iiif.io/api/image/2/level{}.json"
INFO = "info.json"  # of the service has to be asked
Json = dict[str, Any]


def two(*canvases: list[Json], **facts: Any) -> Json:
    """Return a manifest of version 2 of canvases, each a list of what is painted on it."""
    made = [
        {"@type": "sc:Canvas", "images": [{"motivation": "sc:painting", "resource": r} for r in c]}
        for c in canvases
    ]
    return {"@id": f"{HOST}/m", "@type": "sc:Manifest", "sequences": [{"canvases": made}]} | facts


def three(*canvases: list[Json], **facts: Any) -> Json:
    """Return a manifest of version 3 of canvases, each a list of what is painted on it."""
    made = [
        {"type": "Canvas", "items": [{"items": [{"motivation": "painting", "body": b}]} for b in c]}
        for c in canvases
    ]
    return {"id": f"{HOST}/m", "type": "Manifest", "items": made} | facts


def image2(name: str, size: str = "full", **service: Any) -> Json:
    """Return an image of version 2 with a service."""
    body = {"@id": f"{HOST}/{name}/full/{size}/0/default.jpg", "@type": "dctypes:Image"}
    return body | {"width": 900, "height": 1200, "service": {"@id": f"{HOST}/{name}"} | service}


def image3(name: str, *services: Json, **facts: Any) -> Json:
    """Return an image of version 3 with services."""
    body = {"id": f"{HOST}/{name}/full/max/0/default.jpg", "type": "Image"} | facts
    return body | {"service": list(services)}


def service3(name: str, level: int, **facts: Any) -> Json:
    """Return a service of version 3."""
    return {"id": f"{HOST}/{name}", "type": "ImageService3", "profile": f"level{level}"} | facts


SIZE = {"width": 4000, "height": 3000}
OLD = {"@context": "http://iiif.io/api/image/1/context.json", "profile": STANFORD}
LIMITED = [TWO.format(1), {"maxWidth": 200, "supports": ["sizeByConfinedWh"]}]
AUTH = {"@id": f"{HOST}/login", "profile": "http://iiif.io/api/auth/1/clickthrough"}
FILM = {"id": f"{HOST}/1.mp4", "type": "Video", "format": "video/mp4", "duration": 9.5}
SHAPES: dict[str, tuple[Json, list[str]]] = {
    "version 1.1 of the Image API": (
        two([image2("a", **OLD)]),
        ["a/full/!256,256/0/native.jpg"],
    ),
    "a service in an object, with a login": (
        two([image2("a", profile=TWO.format(2), service=AUTH)]),
        ["a/full/!256,256/0/default.jpg"],
    ),
    "a body of a smaller size than the image": (
        two([image2("a", "!1024,1024", profile=TWO.format(1))]),
        ["a/full/192,/0/default.jpg"],
    ),
    "a profile of several parts": (
        two([image2("a", profile=LIMITED)]),
        ["a/full/!200,200/0/default.jpg"],
    ),
    "a profile without its level": (
        two([image2("a", profile=[{"supports": ["sizeByW"]}], **{"@context": OLD["@context"]})]),
        ["a/full/192,/0/native.jpg"],
    ),
    "a service without a profile": (two([image2("a")]), [INFO]),
    "the same image by services of two versions": (
        three(
            [image3("a", {"@id": f"{HOST}/a", "@type": "ImageService2"} | SIZE, service3("a", 2))]
        ),
        [INFO],
    ),
    "static sizes in a manifest": (
        three([image3("a", service3("a", 0, sizes=[SIZE, {"width": 400, "height": 300}]))]),
        ["a/full/400,300/0/default.jpg"],
    ),
    "tiles alone": (three([image3("a", service3("a", 0, tiles=[{"width": 512}]))]), [INFO]),
    "a file without a service": (
        three([{"id": f"{HOST}/a.png", "type": "Image", "format": "image/png"}]),
        ["a.png"],
    ),
    "choice": (
        three([{"type": "Choice", "items": [image3(n, service3(n, 2), **SIZE) for n in "ab"]}]),
        ["a/full/!256,256/0/default.jpg"],
    ),
    "composition": (
        three([image3(n, service3(n, 1), **SIZE) for n in "ab"]),
        ["a/full/256,/0/default.jpg", "b/full/256,/0/default.jpg"],
    ),
    "film with a poster, then a page": (
        three([FILM], [image3("a", service3("a", 2), **SIZE)])
        | {"placeholderCanvas": three([image3("poster", **SIZE)])["items"][0]},
        ["a/full/!256,256/0/default.jpg"],
    ),
    "a thumbnail alone": (
        three() | {"items": [{"type": "Canvas", "thumbnail": [image3("a", service3("a", 2))]}]},
        [],
    ),
    "addresses without a scheme": (
        two([{"@id": "//lib.org/1.jpg", "@type": "dctypes:Image"}], [{"@id": "/1.jpg"}]),
        [],
    ),
}


def read(node: Json) -> Manifest:
    """Return a manifest in English."""
    found = read_document(node, "", "en")
    assert isinstance(found, Manifest)
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_the_images_of_a_manifest_at_256_pixels(name: str) -> None:
    node, expected = SHAPES[name]
    works = _works(Found([(read(node), "")]), View.all)
    addresses = [_address(work.picture, 256) or f"{HOST}/{INFO}" for work in works]
    assert [url.removeprefix(f"{HOST}/") for url in addresses] == expected
