"""Where the images of a manifest are, in which sizes, and by which service."""

import os
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from src.errors import UserError
from src.gallery import Gallery
from src.reporting.iiif_images import fitted, museum_picture, published_picture, size_of

ART = "https://art.example/iiif/ab"
LEVEL = "http://iiif.io/api/image/2/level{}.json"


def gallery(root: Path = Path("nowhere"), **work: str) -> Gallery:
    """Return a gallery of an image of 250 x 100 pixels."""
    row = {"file": "a.jpg", "width": "250", "height": "100"} | work
    return Gallery("g", root, pd.DataFrame([row], dtype=object))


@pytest.mark.parametrize(
    "address",
    [ART, f"{ART}/", f"{ART}/info.json", f"{ART}/full/!256,256/0/default.jpg"]
    + [f"{ART}/pct:0,0,100,100/400,/360/gray.png", f"{ART}/full/max/0/native.jpg"],
)
def test_a_service_is_known_by_any_of_its_addresses(address: str) -> None:
    picture = museum_picture(gallery(iiif=address), 0)
    assert picture is not None
    service = {"@id": ART, "@type": "ImageService2", "profile": LEVEL.format(1)}
    assert picture.image.resource() == {
        "id": f"{ART}/full/full/0/default.jpg",
        "type": "Image",
        "format": "image/jpeg",
        "width": 250,
        "height": 100,
        "service": [service],
    }


@pytest.mark.parametrize(
    "request_",
    ["pct:1,1,50,50/400,/0/gray.png", "0,0,9,9/max/90/native.jpg", "full/max/!22.5/default.jpg"],
)
def test_the_address_of_a_part_is_that_of_an_image_and_not_of_the_whole(request_: str) -> None:
    for profile in ("", "level2"):
        picture = museum_picture(gallery(iiif=f"{ART}/{request_}", iiif_profile=profile), 0)
        assert picture is not None
        assert (picture.image.address, picture.image.service) == (f"{ART}/{request_}", None)
        assert (picture.size, picture.image.size) == ((250, 100), None)


ONE = "http://library.stanford.edu/iiif/image-api/1.1/compliance.html#level2"


@pytest.mark.parametrize(
    ("profile", "whole", "service"),
    [
        (
            LEVEL.format(2),
            "full/full/0/default.jpg",  # all that every server of 2.0 and 2.1 has
            {"@id": ART, "@type": "ImageService2", "profile": LEVEL.format(2)},
        ),
        (
            "level0",
            "full/max/0/default.jpg",
            {"id": ART, "type": "ImageService3", "profile": "level0"},
        ),
        (
            "https://iiif.io/api/image/3/level2.json",
            "full/max/0/default.jpg",
            {"id": ART, "type": "ImageService3", "profile": "level2"},
        ),
        (
            ONE,
            "full/full/0/native.jpg",
            {"@id": ART, "@type": "ImageService1", "profile": ONE},
        ),
    ],
)
def test_a_profile_tells_version_and_level(
    profile: str, whole: str, service: dict[str, str]
) -> None:
    picture = museum_picture(gallery(iiif=ART, iiif_profile=profile), 0)
    assert picture is not None
    assert picture.image.address == f"{ART}/{whole}"
    assert picture.image.resource()["service"] == [service]


@pytest.mark.parametrize(
    ("work", "size"),
    [
        ({"iiif_width": "25000", "iiif_height": "10000"}, (25000, 10000)),
        ({"iiif_width": "25049", "iiif_height": "9999"}, (25049, 9999)),  # rounded to 250 x 100
        ({"iiif_width": "10000", "iiif_height": "25000"}, (250, 100)),  # before it was turned
        ({"iiif_width": "25000", "iiif_height": "11000"}, (250, 100)),
        ({"iiif_width": "25000", "iiif_height": ""}, (250, 100)),
        ({"iiif_width": "1e9", "iiif_height": "-1"}, (250, 100)),
    ],
)
def test_a_canvas_has_the_size_that_the_museum_tells_if_the_aspect_agrees(
    work: dict[str, str], size: tuple[int, int]
) -> None:
    picture = museum_picture(gallery(iiif=ART, **work), 0)
    assert picture is not None
    assert picture.size == picture.image.size == size


def test_a_small_download_is_the_thumbnail_and_of_a_large_one_the_service_makes_it() -> None:
    url = f"{ART}/full/!250,250/0/default.jpg"
    small = museum_picture(gallery(iiif=ART, url=url), 0)
    large = museum_picture(gallery(iiif=ART, url=url, width="4000", height="1600"), 0)
    assert small is not None and small.thumbnail is not None
    assert large is not None and large.thumbnail is not None
    assert small.thumbnail[:2] == (url, (250, 100))
    assert large.thumbnail[:2] == (f"{ART}/full/200,/0/default.jpg", (200, 80))


def test_a_service_of_static_sizes_is_asked_for_none_but_the_downloaded_one() -> None:
    url = f"{ART}/full/400,160/0/default.jpg"
    work = {"iiif": ART, "iiif_profile": "level0", "iiif_width": "800", "iiif_height": "320"}
    picture = museum_picture(gallery(url=url, width="400", height="160", **work), 0)
    assert picture is not None and picture.thumbnail is not None
    assert picture.size == (800, 320)
    assert picture.image[:2] == picture.thumbnail[:2] == (url, (400, 160))
    unknown = museum_picture(gallery(**work), 0)
    assert unknown is not None
    assert unknown.thumbnail is None


@pytest.mark.parametrize(
    ("work", "address"),
    [
        ({"iiif": "https://art.example/ship.png"}, "https://art.example/ship.png"),
        ({"url": "https://art.example/Schöne Bilder.jpg"}, ""),
        ({"url": "https://art.example/Schöne_Bilder.webp?a=1"}, "Sch%C3%B6ne_Bilder.webp?a=1"),
        ({"url": "https://art.example/ship.html"}, ""),
        ({"url": "https://ann:secret@art.example/ship.png"}, ""),
        ({"url": "http://127.0.0.1:4321/ship.png"}, ""),  # as of the demo's own museum
        ({"iiif": "javascript:alert(1)"}, ""),
        ({"iiif": f"{ART}?key=1"}, ""),
        ({"iiif": ART, "iiif_profile": "http://library.stanford.edu/iiif/image-api/1.1"}, ""),
        ({}, ""),
    ],
)
def test_a_file_on_the_web_is_an_image_without_a_service(
    work: dict[str, str], address: str
) -> None:
    picture = museum_picture(gallery(**work), 0)
    assert (picture is not None) == bool(address)
    if picture is not None:
        assert picture.image.address.endswith(address)
        assert picture.image.service is None


@pytest.mark.parametrize(
    ("file", "address", "media_type"),
    [
        ("ann/a b#?%&+;.jpg", "ann/a%20b%23%3F%25&+;.jpg", "image/jpeg"),
        ("Künstler/é.TIF", "K%C3%BCnstler/%C3%A9.TIF", "image/tiff"),
        (os.fsdecode(b"\xff.avif"), "%FF.avif", "image/avif"),
        ('<"\n\\>.jxl', "%3C%22%0A%5C%3E.jxl", "image/jxl"),
        ("none", "none", "application/octet-stream"),
    ],
)
def test_names_of_published_files_are_encoded(file: str, address: str, media_type: str) -> None:
    picture = published_picture(gallery(file=file), 0, "https://me.example/art")
    assert picture.image[:3] == (f"https://me.example/art/{address}", (250, 100), media_type)


def test_a_size_that_is_not_in_the_table_is_that_of_the_file(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg")
    assert size_of(gallery(tmp_path, width="", height=""), 0) == (30, 20)
    assert size_of(gallery(tmp_path), 0) == (250, 100)
    with pytest.raises(UserError, match="the size of b.jpg is unknown: works.csv has no width"):
        size_of(gallery(tmp_path, file="b.jpg", width="0", height="-4"), 0)


@pytest.mark.parametrize(
    ("size", "expected"), [((3000, 1500), (160, 80)), ((100, 50), (100, 50)), ((9000, 3), (160, 1))]
)
def test_pictures_of_pages_are_scaled_down_only(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert fitted(size, 160) == expected
