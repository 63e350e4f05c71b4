"""Parts of images, in each way that manifests name them: cut out by the service, or left out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.gallery.iiif.bodies import NO_PART, Picture, painted
from src.gallery.iiif.image_service import made_url
from src.gallery.iiif.parts import WHOLE, Part
from src.reporting.iiif_images import museum_picture
from tests.support.iiif_galleries import gallery
from tests.support.iiif_host import IiifHost

BASE = "https://museum.org/iiif/1"
TWO = {"@context": "http://iiif.io/api/image/2/context.json", "@id": BASE}
SOURCE: Any = {
    "id": f"{BASE}/full/max/0/default.jpg",
    "type": "Image",
    "width": 4000,
    "height": 2000,
    "service": [{"id": BASE, "type": "ImageService3", "profile": "level2"}],
}
MEASURED: Any = SOURCE | {"service": SOURCE["service"][0] | {"width": 4000, "height": 2000}}
FILE = {"id": "https://museum.org/1.jpg", "type": "Image"}


def picture(body: Any) -> Picture | str:
    """Return what is painted on a canvas of version 3 with one body."""
    annotation = {"motivation": "painting", "body": body}
    (found,) = painted({"items": [{"items": [annotation]}]})
    return found


def part(source: Any, **selector: Any) -> dict[str, Any]:
    """Return a part of a source, by the selector of the Image API."""
    chosen = {"type": "ImageApiSelector"} | selector
    return {"id": f"{BASE}/part", "type": "SpecificResource", "source": source, "selector": chosen}


def fragment(source: Any, value: str) -> dict[str, Any]:
    """Return a part of a source, by a fragment."""
    return part(source, type="FragmentSelector", value=value)


def asked(body: Any, side: int | None = 256) -> str:
    """Return the region, size and rotation that the service of a body is asked for."""
    found = picture(body)
    assert isinstance(found, Picture) and found.service
    url = made_url(found.service, side, found.width, found.height, found.part)
    return url.removeprefix(f"{BASE}/").removesuffix("/default.jpg")


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        (part(SOURCE, region="100,200,800,400"), "100,200,800,400/!256,256/0"),
        (part(SOURCE, region="xywh=100,200,800,400"), "100,200,800,400/!256,256/0"),
        (part(SOURCE, region="3900,0,800,50"), "3900,0,800,50/!100,100/0"),  # as much as there is
        (part(SOURCE, region="0,0,40,90"), "0,0,40,90/!90,90/0"),  # never upscaled
        (part(SOURCE, region="pct:25,0,5.5,10"), "pct:25,0,5.5,10/!220,220/0"),
        (part(SOURCE, region="pct:0,0,5.49,9.99"), "pct:0,0,5.49,9.99/!219,219/0"),  # of 219.6
        (part(SOURCE, rotation="90"), "full/!256,256/90"),
        (part(SOURCE, region="0,0,600,600", rotation=270), "0,0,600,600/!256,256/270"),
        (part(SOURCE, rotation=360.0), "full/!256,256/0"),
        (part(SOURCE, region="full", size="max"), "full/!256,256/0"),
        (part(SOURCE, type="iiif:ImageApiSelector", region="1,2,300,4"), "1,2,300,4/!256,256/0"),
        (fragment(SOURCE, "xywh=100,200,800.4,400"), "100,200,800,400/!256,256/0"),
        (fragment(SOURCE, "xywh=pixel:1,2,300,4"), "1,2,300,4/!256,256/0"),
        (fragment(SOURCE, "xywh=percent:50,0,50,100"), "pct:50,0,50,100/!256,256/0"),
        (fragment(SOURCE, "xywh=percent:0,0,100,100"), "full/!256,256/0"),
        (SOURCE | {"id": f"{SOURCE['id']}#xywh=1,2,300,4"}, "1,2,300,4/!256,256/0"),
        (SOURCE | {"id": f"{SOURCE['id']}#t=5"}, "full/!256,256/0"),
        (SOURCE | {"id": f"{BASE}/1,2,300,4/full/0/default.jpg"}, "1,2,300,4/!256,256/0"),
        (MEASURED | {"id": f"{BASE}/full/600,/90.0/default.jpg"}, "full/!256,256/90"),
    ],
)
def test_a_service_cuts_out_what_the_manifest_shows(body: Any, request_: str) -> None:
    assert asked(body) == request_


def test_a_part_of_presentation_2() -> None:
    service = TWO | {"profile": "http://iiif.io/api/image/2/level1.json"}
    image = {"@id": f"{BASE}/full/full/0/default.jpg", "@type": "dctypes:Image", "service": service}
    chosen = {"@type": "iiif:ImageApiSelector", "region": "50,50,1250,1850"}
    resource = {
        "@id": f"{BASE}/50,50,1250,1850/full/0/default.jpg",
        "@type": "oa:SpecificResource",
        "full": image,
        "selector": chosen,
    }
    (found,) = painted({"images": [{"motivation": "sc:painting", "resource": resource}]})
    assert isinstance(found, Picture) and found.service
    assert (found.url, found.part) == ("", Part("50,50,1250,1850"))
    url = made_url(found.service, 256, part=found.part)
    assert url == f"{BASE}/50,50,1250,1850/173,/0/default.jpg"


def test_the_largest_size_of_a_part_keeps_to_the_limits_of_the_service() -> None:
    body = part(SOURCE, region="0,0,800,400")
    assert asked(body, None) == "0,0,800,400/max/0"
    limited = SOURCE["service"][0] | {"maxWidth": 500}
    assert asked(body | {"source": SOURCE | {"service": limited}}, None) == (
        "0,0,800,400/!500,500/0"
    )


@pytest.mark.parametrize(
    "body",
    [
        part(FILE, region="0,0,9,9"),
        part(FILE["id"], rotation="90"),
        FILE | {"id": f"{FILE['id']}#xywh=0,0,9,9"},
        part(SOURCE, region="square"),
        part(SOURCE, region="0,0,0,9"),
        part(SOURCE, region="0,0,9"),
        part(SOURCE, region=["0,0,9,9"]),
        part(SOURCE, rotation="22.5"),
        part(SOURCE, rotation="!0"),
        part(SOURCE, type="SvgSelector", value="<svg/>"),
        part(SOURCE, type="PointSelector", x=1, y=2),
        part(SOURCE) | {"selector": "https://museum.org/selector"},
        part(part(SOURCE, region="0,0,90,90"), region="0,0,9,9"),
        fragment(SOURCE | {"id": f"{BASE}/full/1000,/0/default.jpg"}, "xywh=0,0,9,9"),
        fragment(SOURCE | {"id": f"{BASE}/0,0,99,99/full/0/default.jpg"}, "xywh=0,0,9,9"),
    ],
)
def test_what_no_service_cuts_out_is_no_image(body: Any) -> None:
    assert picture(body) == NO_PART


@pytest.mark.parametrize("level", [0, 1])
def test_a_service_that_does_not_know_a_part_is_not_asked_for_it(level: int) -> None:
    source = SOURCE | {"service": SOURCE["service"][0] | {"profile": f"level{level}"}}
    assert asked(part(source, rotation="90")) == asked(part(source, region="pct:0,0,9,9")) == ""
    assert asked(part(source, region="0,0,9,9")) == ("0,0,9,9/9,/0" if level else "")
    able = source["service"] | {"extraFeatures": ["rotationBy90s", "sizeByW"]}
    assert asked(part(source | {"service": able}, rotation="90")) == "full/256,/90"
    fixed = source["service"] | {"profile": "level0", "extraFeatures": ["regionByPx"]}
    assert asked(part(source | {"service": fixed}, region="0,0,9,9")) == ""  # in no size


def test_an_alternative_selector_serves() -> None:
    shape = {"type": "SvgSelector", "value": "<svg/>"}
    box = {"type": "FragmentSelector", "value": "xywh=1,2,300,4"}
    assert asked(part(SOURCE) | {"selector": [shape, box]}) == "1,2,300,4/!256,256/0"


def test_the_region_of_the_whole_is_the_whole() -> None:
    found = picture(part(MEASURED, region="0,0,4000,2000"))
    assert isinstance(found, Picture)
    assert (found.part, found.url, found.name) == (WHOLE, SOURCE["id"], BASE)


@pytest.mark.parametrize(
    "url",
    [f"{BASE}/square/full/0/default.jpg", f"{BASE}/full/full/!0/default.jpg"]
    + ["https://museum.org/iiif/2/0,0,9,9/full/0/default.jpg"],  # of another service
)
def test_an_address_with_a_part_that_is_not_understood_is_taken_as_it_is(url: str) -> None:
    found = picture(SOURCE | {"id": url})
    assert isinstance(found, Picture)
    assert (found.service, found.url, found.name) == (None, url, url)


def test_parts_of_an_image_are_several_images_and_its_whole_is_named_as_ever() -> None:
    bodies = [SOURCE, part(SOURCE, region="0,0,9,9"), part(SOURCE, region="9,0,9,9")]
    names = [found.name for found in map(picture, bodies) if isinstance(found, Picture)]
    assert names[0] == BASE
    assert len(set(names)) == 3


def test_a_part_of_an_image_of_unknown_size_has_none() -> None:
    assert Part("pct:0,0,50,50").size(0, 0) == (0, 0)
    assert Part("1,2,3,4").size(0, 0) == (3, 4)
    assert Part("100,0,3,4").size(50, 50)[0] < 1  # beside the image


def test_a_gallery_has_the_parts_that_services_cut_out_and_counts_the_others(
    host: IiifHost, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    canvases = [host.documents[f"/p3/{number}"]["items"][0] for number in (102, 101, 102, 100, 103)]
    bodies = [canvas["items"][0]["items"][0]["body"] for canvas in canvases]
    bodies[1:] = [part(body, region="16,8,32,32") for body in bodies[1:]]
    pages = [{"items": [{"motivation": "painting", "body": body}]} for body in bodies]
    made = [{"type": "Canvas", "items": [page]} for page in pages]
    host.documents["/parts"] = host.documents["/p3/102"] | {"items": made}
    found = gallery(host, tmp_path, "/parts", image_size="64")
    assert f"2 {NO_PART}" in caplog.text  # of level 0, and of a file
    assert (len(found), found.missing, list(found.works["width"])) == (3, 0, ["64", "32", "32"])
    for row, original in zip((1, 2), [list(host.files.values())[n] for n in (1, 2)], strict=True):
        with Image.open(original) as whole, Image.open(found.root / found.files[row]) as cut:
            expected = np.asarray(whole.convert("RGB").crop((16, 8, 48, 40)), np.float32)
            assert np.abs(np.asarray(cut.convert("RGB"), np.float32) - expected).mean() < 6
    assert list(found.works["iiif"] != "") == [True, False, False]  # that of the whole
    public = found.works.replace(host.address, "https://museum.example", regex=True)
    shown = museum_picture(replace(found, works=public), 2)
    assert shown is not None and shown.image.service is None
    assert "/16,8,32,32/" in shown.image.address
