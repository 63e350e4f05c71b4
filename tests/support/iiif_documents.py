"""Collections and manifests of made works, in both versions of the IIIF Presentation API."""

from collections.abc import Callable, Sequence
from typing import Any

from src.demo.server import Row

Json = dict[str, Any]
Service = Callable[[Row], Json | None]  # the image service of a work, None for a plain file
P3 = "http://iiif.io/api/presentation/3/context.json"
P2 = "http://iiif.io/api/presentation/2/context.json"
LEVELS = (0, 1, 2, None)  # of the services of works, in turn; None: a file without one


def level_of(number: int) -> int | None:
    """Return the level of the image service of a work."""
    return LEVELS[number % len(LEVELS)]


def service_url(host: str, record: Row, level: int) -> str:
    """Return the address of a work's image service."""
    return f"{host}/level{level}/{record['image_id']}"


def body_url(host: str, record: Row, level: int | None) -> str:
    """Return the address that a manifest gives for a work's image."""
    if level is None:
        return f"{host}/static/{record['image_id']}.jpg"
    return f"{service_url(host, record, level)}/full/full/0/default.jpg"


def info(host: str, record: Row, level: int) -> Json:
    """Return the info.json of a work's service, of version 2 or, at level 1, of 3."""
    width, height = int(record["width"]), int(record["height"])
    sizes = [{"width": width // n, "height": height // n} for n in (4, 2, 1)]
    facts: Json = {"width": width, "height": height, "sizes": sizes}
    url = service_url(host, record, level)
    if level == 1:
        context = "http://iiif.io/api/image/3/context.json"
        return facts | {"@context": context, "id": url, "profile": "level1"}
    profile = f"http://iiif.io/api/image/2/level{level}.json"
    context = "http://iiif.io/api/image/2/context.json"
    return facts | {"@context": context, "@id": url, "profile": [profile]}


def _service(host: str, record: Row, level: int) -> Json:
    url = service_url(host, record, level)
    if level == 1:
        return {"id": url, "type": "ImageService3", "profile": "level1"}
    profile = f"http://iiif.io/api/image/2/level{level}.json"
    return {"@id": url, "@context": "http://iiif.io/api/image/2/context.json", "profile": profile}


def manifest3(host: str, record: Row, number: int) -> Json:
    """Return the manifest of a work by Presentation API 3."""
    level, size = level_of(number), {key: int(record[key]) for key in ("width", "height")}
    body = {"id": body_url(host, record, level), "type": "Image", "format": "image/jpeg"} | size
    if level is not None:
        body["service"] = [_service(host, record, level)]
    url = f"{host}/p3/{record['object_id']}"
    annotation = {"id": f"{url}/a", "type": "Annotation", "motivation": "painting", "body": body}
    page = {"id": f"{url}/p", "type": "AnnotationPage", "items": [annotation | {"target": url}]}
    canvas = {"id": f"{url}/c", "type": "Canvas", "items": [page]} | size
    pairs = [({"en": ["Artist"], "de": ["Künstler"]}, {"none": [record["artist"]]})]
    pairs += [({"en": ["Date"]}, {"en": [f"<p>{record['date']}</p>"]})]
    pairs += [({"en": ["Style"]}, {"en": [record["style"], "Drawn"]})]
    pairs += [({"en": ["File"]}, {"en": ["a reserved name"]})]
    wikidata = f"https://www.wikidata.org/entity/Q{record['object_id']}"
    return {
        "@context": P3,
        "id": url,
        "type": "Manifest",
        "label": {"en": [record["title"]], "fr": ["Œuvre"]},
        "metadata": [{"label": label, "value": value} for label, value in pairs],
        "rights": "http://creativecommons.org/publicdomain/zero/1.0/",
        "requiredStatement": {"label": {"en": ["Credit"]}, "value": {"en": ["A museum"]}},
        "homepage": [{"id": f"{host}/page/{number}", "type": "Text", "format": "text/html"}],
        "seeAlso": [{"id": wikidata, "type": "Dataset"}],
        "items": [canvas],
    }


def manifest2(host: str, record: Row, number: int) -> Json:
    """Return the manifest of a work by Presentation API 2."""
    level, size = level_of(number), {key: int(record[key]) for key in ("width", "height")}
    resource: Json = {"@id": body_url(host, record, level), "@type": "dctypes:Image"} | size
    if level is not None:
        resource["service"] = _service(host, record, level)
    url = f"{host}/p2/{record['object_id']}"
    annotation = {"@type": "oa:Annotation", "motivation": "sc:painting", "resource": resource}
    canvas = {"@id": f"{url}/c", "@type": "sc:Canvas", "images": [annotation]} | size
    english = {"@value": "Artist", "@language": "en"}
    german = {"@value": "Künstler", "@language": "de"}
    pairs: list[tuple[Any, Any]] = [([german, english], record["artist"])]
    pairs += [("Date", f"<p>{record['date']}</p>"), ("Style", [record["style"], "Drawn"])]
    pairs += [("File", {"@value": "a reserved name", "@language": "en"})]
    title = {"@value": record["title"], "@language": "en"}
    return {
        "@context": P2,
        "@id": url,
        "@type": "sc:Manifest",
        "label": [{"@value": "Œuvre", "@language": "fr"}, title],
        "metadata": [{"label": label, "value": value} for label, value in pairs],
        "license": "http://creativecommons.org/publicdomain/zero/1.0/",
        "attribution": "A museum",
        "related": {"@id": f"{host}/page/{number}", "format": "text/html"},
        "seeAlso": f"https://www.wikidata.org/entity/Q{record['object_id']}",
        "sequences": [{"@type": "sc:Sequence", "canvases": [canvas]}],
    }


def _reference(url: str, version: int, kind: str) -> Json:
    if version == 3:
        return {"id": url, "type": kind, "label": {"en": ["?"]}}
    return {"@id": url, "@type": f"sc:{kind}", "label": "?"}


def nested(host: str, records: Sequence[Row], version: int) -> dict[str, Json]:
    """Return documents by path: a collection in collections, which also name each other.

    /p3/top.json lists two collections; the second is in pages in version 2. Both list the top.
    """
    make, top = (manifest3, manifest2)[version == 2], f"/p{version}/top.json"
    documents: dict[str, Json] = {}
    for number, record in enumerate(records):
        documents[f"/p{version}/{record['object_id']}"] = make(host, record, number)
    urls = [f"{host}{path}" for path in documents]
    half = len(urls) // 2
    lists = {"first": urls[:half], "second": urls[half:]}
    names = {name: f"/p{version}/{name}.json" for name in lists}
    for name, listed in lists.items():
        members = [_reference(url, version, "Manifest") for url in listed]
        loop = [_reference(f"{host}{path}", version, "Collection") for path in (top, names[name])]
        documents[names[name]] = _collection(host, names[name], name, [*members, *loop], version)
    if version == 2:
        documents |= _paged(host, names["second"], documents[names["second"]])
    subs = [_reference(f"{host}{path}", version, "Collection") for path in names.values()]
    documents[top] = _collection(host, top, "All", subs, version)
    return documents


def _collection(host: str, path: str, label: str, members: list[Json], version: int) -> Json:
    if version == 3:
        facts: Json = {"@context": P3, "id": f"{host}{path}", "type": "Collection"}
        return facts | {"label": {"en": [label]}, "items": members}
    facts = {"@context": P2, "@id": f"{host}{path}", "@type": "sc:Collection", "label": label}
    return facts | {"members": members}


def _paged(host: str, path: str, whole: Json) -> dict[str, Json]:
    """Return a collection of version 2 as a first page that leads to others, three members each."""
    members, pages = whole["members"], {}
    count = -(-len(members) // 3)
    for number in range(count):
        page = {key: value for key, value in whole.items() if key != "label"}
        page |= {"@id": f"{host}{path}?page={number}", "members": members[number * 3 :][:3]}
        if number + 1 < count:
            page["next"] = f"{host}{path}?page={number + 1}"
        pages[f"{path}?page={number}"] = page
    first = {key: value for key, value in whole.items() if key != "members"}
    return pages | {path: first | {"first": f"{host}{path}?page=0", "total": len(members)}}
