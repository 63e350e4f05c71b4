"""Check manifests of the IIIF Presentation API 3.0: a schema, and rules that no schema can say."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jsonschema import Draft202012Validator

CONTEXT = "http://iiif.io/api/presentation/3/context.json"
SCHEMA = Path(__file__).with_name("presentation_3.schema.json")
OF_ANNOTATIONS = ("Canvas", "AnnotationPage", "Annotation")


@cache
def validator() -> Draft202012Validator:
    """Return what checks the schema, which is checked itself."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def problems(manifest: Any) -> list[str]:
    """Return what is wrong with a manifest, [] if it is valid."""
    found = [f"{e.json_path}: {e.message[:300]}" for e in validator().iter_errors(manifest)]
    return found or [*_broken_rules(manifest)]


def _broken_rules(manifest: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a manifest that fits the schema."""
    if next(iter(manifest)) != "@context":
        yield "@context is not the first property"
    context = manifest["@context"]
    if isinstance(context, list) and context[-1] != CONTEXT:
        yield f"{CONTEXT} is not the last context"
    ids = [manifest["id"], *(node["id"] for node in nodes(manifest, *OF_ANNOTATIONS))]
    yield from (f"{uri} is two resources" for uri in sorted({u for u in ids if ids.count(u) > 1}))
    for canvas in nodes(manifest, "Canvas"):
        for annotation in nodes(canvas, "Annotation"):
            yield from _broken_annotation(canvas, annotation)
    yield from (
        f"not well-formed: {text}" for text in _texts(manifest) if not _is_well_formed(text)
    )


def _broken_annotation(canvas: dict[str, Any], annotation: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with an annotation of a canvas."""
    target, body = annotation["target"], annotation["body"]
    uri = target if isinstance(target, str) else target["source"]
    if uri.partition("#")[0] != canvas["id"]:
        yield f"{annotation['id']} is not about {canvas['id']}"
    is_timed = isinstance(body, dict) and "duration" in body
    if annotation.get("motivation") == "painting" and is_timed and "duration" not in canvas:
        yield f"{annotation['id']} takes time, and its canvas has none"


def nodes(node: Any, *types: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of these types in a resource, in order, but not the resource itself."""
    for value in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        if isinstance(value, dict) and value.get("type") in types:
            yield value
        yield from nodes(value, *types)


def _texts(node: Any) -> Iterator[str]:
    """Yield all texts."""
    if isinstance(node, str):
        yield node
    for value in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from _texts(value)


def _is_well_formed(text: str) -> bool:
    """Return whether a text is plain, or well-formed HTML: it begins with < and ends with >."""
    if not (text.startswith("<") and text.endswith(">")):
        return True
    try:
        ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return False
    return True


def values(canvas: dict[str, Any]) -> dict[str, list[str]]:
    """Return the metadata of a canvas: texts by name."""
    return {
        text: [value for texts in line["value"].values() for value in texts]
        for line in canvas["metadata"]
        for texts in line["label"].values()
        for text in texts
    }


def image(canvas: dict[str, Any]) -> dict[str, Any]:
    """Return what is painted on a canvas."""
    found: dict[str, Any] = canvas["items"][0]["items"][0]["body"]
    return found
