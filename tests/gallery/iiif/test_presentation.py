"""Manifests and collections of both versions in one shape, whatever is written in them."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.config.enums import View
from src.demo.server import Row
from src.gallery.iiif.catalog import _unique, _works
from src.gallery.iiif.crawl import Found
from src.gallery.iiif.presentation import (
    Collection,
    Manifest,
    Reference,
    read_document,
)
from src.gallery.iiif.resources import address
from tests.support.iiif_documents import manifest2, manifest3

RECORD: Row = {"image_id": "a1", "object_id": "7", "title": "T", "artist": "A", "date": "1650"}
RECORD |= {"style": "S", "width": "40", "height": "30"}
HOST = "https://museum.org"
IMAGE = {"id": f"{HOST}/1.jpg", "type": "Image", "format": "image/jpeg"}


def manifest(*bodies: Any, canvases: list[Any] | None = None) -> Manifest:
    """Read a manifest of version 3 with one canvas that has these bodies, or with canvases."""
    made = [{"type": "Canvas", "items": [{"items": [annotation(body) for body in bodies]}]}]
    node = {"id": f"{HOST}/m", "type": "Manifest", "items": canvases or made}
    read = read_document(node, "", "en")
    assert isinstance(read, Manifest)
    return read


def annotation(body: Any, motivation: Any = "painting") -> dict[str, Any]:
    """Return an annotation of version 3."""
    return {"type": "Annotation", "motivation": motivation, "body": body}


def urls(read: Manifest, view: View = View.all) -> list[str]:
    """Return the addresses of the images of a manifest."""
    return [work.picture.url for work in _works(Found([(read, "")]), view)]


@pytest.mark.parametrize("number", range(4))
def test_both_versions_have_one_shape(number: int) -> None:
    three = read_document(manifest3(HOST, RECORD, number), "", "en")
    two = read_document(manifest2(HOST, RECORD, number), "", "en")
    assert isinstance(three, Manifest) and isinstance(two, Manifest)
    assert three.url == two.url.replace("/p2/", "/p3/")
    for name in ("label", "metadata", "rights", "attribution", "page", "wikidata", "canvases"):
        assert getattr(two, name) == getattr(three, name), name
        assert getattr(three, name)


def test_of_a_choice_the_first_is_taken() -> None:
    other = IMAGE | {"id": f"{HOST}/2.jpg"}
    assert urls(manifest({"type": "Choice", "items": [IMAGE, other]})) == [IMAGE["id"]]
    nested = {"type": "Choice", "items": [{"type": "SpecificResource", "source": IMAGE}, other]}
    assert urls(manifest(nested)) == [IMAGE["id"]]
    choice = {"@type": "oa:Choice", "default": IMAGE, "item": [other]}
    images = [{"motivation": "sc:painting", "resource": choice}]
    node = {"@type": "sc:Manifest", "sequences": [{"canvases": [{"images": images}]}]}
    read = read_document(node, f"{HOST}/m", "en")
    assert isinstance(read, Manifest) and urls(read) == [IMAGE["id"]]


def test_each_image_of_a_canvas_is_a_view() -> None:
    second = IMAGE | {"id": f"{HOST}/2.jpg"}
    read = manifest(IMAGE, second)
    assert urls(read) == [IMAGE["id"], second["id"]]
    assert urls(read, View.primary) == [IMAGE["id"]]
    assert [w.row["view"] for w in _works(Found([(read, "")]), View.all)] == [
        *("primary", "alternate")
    ]
    assert {w.row["object_id"] for w in _works(Found([(read, "")]), View.all)} == {f"{HOST}/m"}


def test_an_image_has_the_labels_of_the_manifest_that_lists_it_first() -> None:
    both = [(replace(manifest(IMAGE), label=label), label) for label in ("first", "second")]
    found = Found(both)
    (work,) = _unique(_works(found, View.all), found)
    assert (work.row["title"], work.row["collection"]) == ("first", "first")
    assert found.counts["images listed more than once"] == 1


def test_what_is_no_image_is_counted() -> None:
    pdf = {"id": f"{HOST}/1.pdf", "type": "Text", "format": "application/pdf"}
    film = {"id": f"{HOST}/1.mp4", "type": "Video"}
    sound = {"id": f"{HOST}/1.mp3", "format": "audio/mpeg"}
    read = manifest(pdf, film, sound, {"type": "TextualBody", "value": "x"}, IMAGE)
    assert read.skipped == {"other media, such as video, sound and text": 4}
    assert urls(read) == [IMAGE["id"]]
    assert manifest(canvases=[{"type": "Canvas"}, {"items": 5}]).skipped == {
        "canvases without an image": 2
    }


def test_a_resource_that_is_called_an_image_is_one_whatever_its_format() -> None:
    assert urls(manifest(IMAGE | {"format": "application/octet-stream"})) == [IMAGE["id"]]


def test_a_body_may_be_an_address_alone_and_an_annotation_may_lack_its_motivation() -> None:
    assert urls(manifest(IMAGE["id"])) == [IMAGE["id"]]
    part = {"type": "SpecificResource", "source": IMAGE["id"], "selector": {}}
    assert urls(manifest(part)) == [IMAGE["id"]]
    page = {"items": [{"type": "Annotation", "body": IMAGE}]}
    assert urls(manifest(canvases=[{"items": [page]}])) == [IMAGE["id"]]


def test_of_several_orders_of_the_canvases_the_first_is_taken() -> None:
    images = [{"motivation": "sc:painting", "resource": IMAGE}]
    sequence = {"canvases": [{"images": images}]}
    node = {"@type": "sc:Manifest", "sequences": [sequence, sequence]}
    read = read_document(node, f"{HOST}/m", "en")
    assert isinstance(read, Manifest) and len(read.canvases) == 1


def test_comments_on_a_canvas_are_not_its_images() -> None:
    for motivation in (["painting"], "sc:painting", "sc:Painting"):
        page = {"items": [annotation(IMAGE, "commenting"), annotation(IMAGE, motivation)]}
        assert urls(manifest(canvases=[{"items": [page]}])) == [IMAGE["id"]]


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "javascript:alert(1)", "data:image/png;base64,x", "//a.org/1", "1.jpg"]
    + ["ftp://a.org/1", "http://me:pw@a.org/1", "http://a.org\\@b/1", "", 5, None, ["x"]],
)
def test_only_addresses_of_the_web_are_used(url: Any) -> None:
    assert address({"id": url}) == address({"@id": url}) == ""
    assert urls(read := manifest(IMAGE | {"id": url})) == []
    assert read.skipped == {"images without a usable address": 1}
    members = [{"id": url, "type": kind} for kind in ("Manifest", "Collection")]
    read = read_document({"type": "Collection", "items": members}, HOST, "en")
    assert isinstance(read, Collection) and (read.members, read.invalid) == ((), 2)


def test_a_collection_may_hold_what_it_lists() -> None:
    inner = {"type": "Collection", "label": {"en": ["Inner"]}, "items": [REFERENCE]}
    whole = manifest3(HOST, RECORD, 3)
    read = read_document({"type": "Collection", "items": [inner, whole, REFERENCE]}, HOST, "en")
    assert isinstance(read, Collection)
    first, second, third = read.members
    assert isinstance(first, Collection) and first.label == "Inner"
    assert isinstance(second, Manifest) and second.label == "T"
    assert third == Reference(f"{HOST}/m")
    paged = {"type": ["Collection"], "id": f"{HOST}/c", "first": f"{HOST}/c?page=1"}
    nameless = {key: value for key, value in whole.items() if key != "id"}
    read = read_document({"type": "Collection", "items": [paged, nameless]}, HOST, "en")
    assert isinstance(read, Collection) and read.invalid == 1
    (embedded,) = read.members
    assert isinstance(embedded, Collection)
    assert embedded.members == (Reference(f"{HOST}/c?page=1", is_collection=True, is_page=True),)


def test_collections_in_each_other_in_one_document_end_at_a_depth() -> None:
    node: dict[str, Any] = {"id": f"{HOST}/c", "type": "Collection", "items": [REFERENCE]}
    for _ in range(400):  # as deep as the parser of JSON goes
        node = {"id": f"{HOST}/c", "type": "Collection", "items": [node]}
    found, depth = read_document(node, HOST, "en"), 0
    while isinstance(found, Collection):
        (found,), depth = found.members, depth + 1
    assert (found, depth) == (Reference(f"{HOST}/c", is_collection=True), 6)


def test_the_list_that_a_member_is_in_tells_its_type() -> None:
    member = {"@id": f" {HOST}/x "}
    for name, is_collection in (("collections", True), ("manifests", False), ("members", False)):
        read = read_document({"@type": "sc:Collection", name: [member]}, HOST, "en")
        assert isinstance(read, Collection)
        assert read.members == (Reference(f"{HOST}/x", is_collection),)


REFERENCE = {"id": f"{HOST}/m#x", "type": "Manifest"}


def test_what_is_neither_is_nothing() -> None:
    for node in ({}, {"type": "Canvas"}, {"@type": 5}, {"type": ["x"]}, {"type": "sc:Range"}):
        assert read_document(node, HOST, "en") is None


KEYS = ["id", "@id", "type", "@type", "items", "sequences", "canvases", "images", "resource"]
KEYS += ["body", "service", "profile", "label", "metadata", "value", "@value", "width", "sizes"]
KEYS += ["motivation", "members", "first", "next", "seeAlso", "homepage", "default", "full", "en"]
KEYS += ["source", "selector", "region", "rotation"]
WORDS = ["Manifest", "sc:Manifest", "Collection", "Canvas", "Image", "Choice", "painting", HOST]
WORDS += ["SpecificResource", "ImageApiSelector", "FragmentSelector", "xywh=0,0,9,9", "level2"]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS)
JSON = st.recursive(
    LEAVES | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=40,
)


@given(st.dictionaries(st.sampled_from(KEYS), JSON), st.sampled_from(["Manifest", "Collection"]))
def test_wrong_types_anywhere_are_left_out(node: dict[str, Any], kind: str) -> None:
    read = read_document(node | {"type": kind}, HOST, "en")
    assert read is not None
    if isinstance(read, Manifest):
        for work in _works(Found([(read, "")]), View.all):
            assert all(isinstance(value, str) for value in work.row.values())


@given(JSON, JSON, JSON)
def test_wrong_types_in_a_part_are_left_out(source: Any, selector: Any, service: Any) -> None:
    image = IMAGE | {"service": {"id": HOST, "type": "ImageService3", "profile": "level2"}}
    for whole in (source, image, image | {"service": service}):
        part = {"type": "SpecificResource", "source": whole, "selector": selector}
        assert all(isinstance(url, str) for url in urls(manifest(part)))


def test_very_many_pictures_and_pairs_are_bounded() -> None:
    assert len(urls(manifest(*[IMAGE] * 5000))) == 100
    node = manifest3(HOST, RECORD, 3) | {"metadata": [{"label": "a", "value": "b"}] * 10_000}
    read = read_document(json.loads(json.dumps(node)), HOST, "en")
    assert isinstance(read, Manifest) and len(read.metadata) == 200
    linked = node | {"seeAlso": [{"id": HOST}] * 10_000 + node["seeAlso"]}
    read = read_document(linked, HOST, "en")
    assert isinstance(read, Manifest) and read.wikidata == ""
