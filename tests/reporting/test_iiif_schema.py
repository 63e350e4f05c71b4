"""The check of manifests finds what is wrong: a valid one, changed in one place, fails."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.iiif_checks import CONTEXT, problems

Manifest = dict[str, Any]
BASE = "https://museum.example/iiif"
SERVICE_2 = {
    "@id": f"{BASE}/2/ship",
    "@type": "ImageService2",
    "profile": "http://iiif.io/api/image/2/level1.json",
}
SERVICE_3 = {"id": f"{BASE}/3/ship", "type": "ImageService3", "profile": "level2"}


def valid() -> Manifest:
    """Return a manifest with all that ours may have, and some that others have."""
    link = {"id": "https://museum.example/ship", "type": "Text", "label": {"en": ["A page"]}}
    body = {"id": f"{BASE}/3/ship/full/max/0/default.jpg", "type": "Image", "format": "image/jpeg"}
    annotation = {
        "id": f"{BASE}/painting/1",
        "type": "Annotation",
        "motivation": "painting",
        "body": body | {"width": 400, "height": 300, "service": [SERVICE_3, SERVICE_2]},
        "target": f"{BASE}/canvas/1",
    }
    canvas = {
        "id": f"{BASE}/canvas/1",
        "type": "Canvas",
        "label": {"none": ["Schiff"], "de": ["Schiff"], "zh-Hant": ["船"]},
        "width": 400,
        "height": 300,
        "metadata": [{"label": {"en": ["Artist"]}, "value": {"none": ["Ann", "<b>Bob</b>"]}}],
        "rights": "http://rightsstatements.org/vocab/NoC-US/1.0/",
        "seeAlso": [{"id": f"{BASE}/ship.xml", "type": "Dataset", "format": "text/xml"}],
        "homepage": [link | {"format": "text/html"}],
        "thumbnail": [body | {"width": 40, "height": 30}],
        "items": [{"id": f"{BASE}/page/1", "type": "AnnotationPage", "items": [annotation]}],
    }
    agent = {"id": "urn:museum", "type": "Agent", "label": {"en": ["Museum"]}, "homepage": [link]}
    manifest = {
        "@context": CONTEXT,
        "id": f"{BASE}/manifest.json",
        "type": "Manifest",
        "label": {"en": ["A ship"]},
        "summary": {"en": ["<p>One</p>"]},
        "requiredStatement": {"label": {"en": ["From"]}, "value": {"en": ["A museum"]}},
        "rights": "http://creativecommons.org/licenses/by-nc-sa/4.0/",
        "provider": [agent],
        "behavior": ["individuals", "no-auto-advance"],
        "viewingDirection": "left-to-right",
        "items": [canvas],
        "structures": [
            {
                "id": f"{BASE}/range/1",
                "type": "Range",
                "items": [{"id": f"{BASE}/canvas/1#xywh=0,0,9,9", "type": "Canvas"}],
            }
        ],
    }
    copied: Manifest = json.loads(json.dumps(manifest))  # of which no part is another's, too
    return copied


def test_a_valid_manifest_has_no_problems() -> None:
    assert problems(valid()) == []


def at(manifest: Manifest, path: str) -> tuple[Any, Any]:
    """Return the object that holds what a path leads to, and its key there."""
    keys = [int(key) if key.isdecimal() else key for key in path.split(".")]
    for key in keys[:-1]:
        manifest = manifest[key]  # type: ignore[index]
    return manifest, keys[-1]


CANVAS, PAGE = "items.0", "items.0.items.0"
PAINTING, BODY = f"{PAGE}.items.0", f"{PAGE}.items.0.body"
REQUIRED = [
    *("@context", "id", "type", "label", "items", "requiredStatement.value"),
    *("provider.0.id", "provider.0.type", "provider.0.label", "provider.0.homepage.0.label"),
    *(f"{CANVAS}.id", f"{CANVAS}.type", f"{CANVAS}.width", f"{CANVAS}.height"),
    *(f"{CANVAS}.metadata.0.label", f"{CANVAS}.metadata.0.value", f"{CANVAS}.seeAlso.0.type"),
    *(f"{CANVAS}.homepage.0.id", f"{CANVAS}.homepage.0.label", f"{CANVAS}.thumbnail.0.id"),
    *(f"{PAGE}.id", f"{PAGE}.type", f"{PAINTING}.id", f"{PAINTING}.type"),
    *(f"{PAINTING}.motivation", f"{PAINTING}.target", f"{PAINTING}.body", f"{BODY}.id"),
    *(f"{BODY}.type", f"{BODY}.service.0.id", f"{BODY}.service.0.type"),
    *(f"{BODY}.service.1.@id", f"{BODY}.service.1.@type", f"{BODY}.service.1.profile"),
]


@pytest.mark.parametrize("path", REQUIRED)
def test_what_is_required_is_missed(path: str) -> None:
    manifest = valid()
    holder, key = at(manifest, path)
    del holder[key]
    assert problems(manifest)


WRONG: list[tuple[str, Any]] = [
    ("@context", "http://iiif.io/api/presentation/2/context.json"),
    ("@context", [CONTEXT, "https://museum.example/more.json"]),
    ("@graph", []),
    *(("id", uri) for uri in ("urn:1", "ship", "https://museum.example/a b", f"{BASE}#1", 1)),
    *(("id", uri) for uri in ("https://museum.example/é", "https://museum.example/%", "http://")),
    ("type", "manifest"),
    *(("label", text) for text in ("A ship", {}, {"en": "A ship"}, {"en": []}, {"": ["x"]})),
    *(("label", text) for text in ({"en": [1]}, {"in English": ["x"]}, {"en": ["<b>x</b>"]})),
    ("summary", {"en": ["<p>One</b>"]}),
    *(("behavior", words) for words in ("individuals", [], ["facing-pages"], ["hidden"])),
    *(("behavior", words) for words in (["paged", "individuals"], ["repeat", "no-repeat"])),
    ("viewingDirection", "up"),
    ("requiredStatement", [{"label": {"en": ["a"]}, "value": {"en": ["b"]}}]),
    *(("rights", uri) for uri in ("https://creativecommons.org/licenses/by/4.0/", "CC0", 1)),
    ("rights", "http://creativecommons.org/licenses/by-free/4.0/"),
    ("rights", "http://rightsstatements.org/vocab/Free/1.0/"),
    ("provider.0.type", "Museum"),
    *(("items", canvases) for canvases in ([], {}, [{"id": BASE, "type": "Manifest"}])),
    *((name, 5) for name in ("width", "height", "duration", "format", "timeMode")),
    (f"{CANVAS}.@context", CONTEXT),
    (f"{CANVAS}.id", f"{BASE}/canvas/1#xywh=0,0,1,1"),
    (f"{CANVAS}.id", f"{BASE}/manifest.json"),
    *((f"{CANVAS}.width", number) for number in (0, -1, 1.5, "400", None)),
    *((f"{CANVAS}.{name}", "x") for name in ("viewingDirection", "start", "structures", "format")),
    (f"{CANVAS}.metadata", {"Artist": "Ann"}),
    (f"{CANVAS}.metadata.0.value", "Ann"),
    (f"{CANVAS}.thumbnail", {"id": BASE, "type": "Image"}),
    (f"{CANVAS}.homepage.0.id", "ship.html"),
    (f"{CANVAS}.behavior", ["paged"]),
    (f"{PAGE}.type", "Annotation"),
    (f"{PAGE}.id", f"{BASE}/canvas/1"),
    (f"{PAGE}.items", []),
    (f"{PAINTING}.motivation", "commenting"),
    (f"{PAINTING}.target", f"{BASE}/canvas/2"),
    (f"{PAINTING}.id", f"{BASE}/page/1"),
    (f"{PAINTING}.items", []),
    (f"{BODY}.type", "Picture"),
    (f"{BODY}.id", "ship.jpg"),
    (f"{BODY}.format", "jpg"),
    (f"{BODY}.height", 0),
    (f"{BODY}.duration", 5),
    (f"{BODY}.service", SERVICE_3),
    (f"{BODY}.service.0.profile", "level3"),
    (f"{BODY}.service.0.id", f"{BASE}/3/ship/"),
    (f"{BODY}.service.0.@context", CONTEXT),
    (f"{BODY}.service.1.profile", "level1"),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_what_is_wrong_is_found(path: str, value: Any) -> None:
    manifest = valid()
    holder, key = at(manifest, path)
    holder[key] = value
    assert problems(manifest)


def _reordered(manifest: Manifest) -> Manifest:
    return {"id": manifest.pop("id")} | manifest


def _doubled(manifest: Manifest) -> Manifest:
    manifest["items"].append(copy.deepcopy(manifest["items"][0]))
    return manifest


@pytest.mark.parametrize(
    ("change", "message"),
    [(_reordered, "@context is not the first property"), (_doubled, "/canvas/1 is two resources")],
)
def test_order_and_names_are_checked(change: Callable[[Manifest], Manifest], message: str) -> None:
    assert message in " ".join(problems(change(valid())))
