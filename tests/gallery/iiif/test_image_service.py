"""The address of the wanted size, for each version and level of the Image API."""

from typing import Any

import pytest

from src.gallery.iiif.image_service import listed_url, made_url, read_info, read_service

BASE = "https://museum.org/iiif/1"
TWO = {"@context": "http://iiif.io/api/image/2/context.json", "@id": BASE}
SIZES = [{"width": w, "height": w // 2} for w in (1600, 200, 400)]


def two(level: int, **facts: Any) -> dict[str, Any]:
    """Return a service of version 2, of an image of 4000 by 2000 pixels."""
    profile = facts.pop("profile", {})
    profiles = [f"http://iiif.io/api/image/2/level{level}.json", profile]
    return TWO | {"profile": profiles, "width": 4000, "height": 2000} | facts


def three(level: int, **facts: Any) -> dict[str, Any]:
    """Return a service of version 3, of an image of 2000 by 4000 pixels."""
    service = {"id": BASE, "type": "ImageService3", "profile": f"level{level}"}
    return service | {"width": 2000, "height": 4000} | facts


@pytest.mark.parametrize(
    ("node", "side", "size"),
    [
        (two(2), 256, "!256,256"),
        (two(2), 9000, "!4000,4000"),  # never upscaled
        (two(2), None, "full"),
        (two(1), 256, "256,"),
        (two(1), None, "full"),
        (three(2), 256, "!256,256"),
        (three(1), 256, "128,"),  # the longer side is the height
        (three(1, width=3000, height=4001), 256, "192,"),  # rounded up
        (three(2), None, "max"),
        (two(2, profile={"maxWidth": 300}), 512, "!300,300"),
        (two(2, profile={"maxWidth": 300}), None, "!300,300"),
        (two(2, maxWidth=300), 512, "!300,300"),  # though the profile says nothing of it
        (three(2, maxWidth=100), 256, "!100,100"),  # which also bounds the height
        (three(2, maxWidth=900, maxHeight=128), 256, "!128,128"),
        (three(2, maxArea=20_000), 256, "!200,200"),
        (three(1, maxArea=20_000), 256, "100,"),
        (two(0, profile={"supports": ["sizeByConfinedWh"]}), 256, "!256,256"),
        (three(0, extraFeatures=["sizeByW"]), 256, "128,"),
    ],
)
def test_a_service_is_asked_for_no_more_than_it_makes(
    node: dict[str, Any], side: int | None, size: str
) -> None:
    service = read_service([{"@id": "https://museum.org/login", "profile": AUTH}, node])
    assert service is not None
    assert made_url(service, side) == f"{BASE}/full/{size}/0/default.jpg"


AUTH = "http://iiif.io/api/auth/1/login"


def test_services_that_are_no_image_services_are_passed_over() -> None:
    search = {"@context": "http://iiif.io/api/search/1/context.json", "@id": BASE}
    for nodes in ([{"@id": BASE, "profile": AUTH}], search, [3, None, "x"], [{"@id": 5}], {}):
        assert read_service(nodes) is None
    for url in ("file:///etc/passwd", "javascript:1", "http://me:pw@a.org/1", f"{BASE}?x", "1"):
        assert read_service(two(2) | {"@id": url}) is None


def test_the_service_that_tells_its_version_is_taken_before_one_that_may_be_anything() -> None:
    probe = {"id": f"{BASE}/probe", "type": "AuthProbeService2"}
    other = {"id": "https://museum.org/hints", "type": "Text", "profile": "https://museum.org/x"}
    assert read_service(probe) is read_service([probe]) is None
    for nodes in ([probe, other, three(2)], [other, three(2), two(1)], [three(2), other]):
        service = read_service(nodes)
        assert service is not None and (service.url, service.version) == (BASE, 3)


def test_an_image_service_is_known_by_its_type_whatever_else_it_names() -> None:
    for url in (BASE, f"{BASE}/", f"{BASE}/info.json"):
        service = read_service(three(2, id=url, profile=["level2", "https://research.org/terms"]))
        assert service is not None and service.url == BASE


@pytest.mark.parametrize(
    "profile",
    [
        "http://library.stanford.edu/iiif/image-api/1.1/compliance.html#level2",
        "http://library.stanford.edu/iiif/image-api/compliance.html#level2",
    ],
)
def test_version_1_has_a_quality_of_its_own(profile: str) -> None:
    service = read_service({"@id": f"{BASE}/", "profile": profile, "width": 500, "height": 600})
    assert service is not None
    assert (service.version, service.level) == (1, 2)
    assert made_url(service, 300) == f"{BASE}/full/!300,300/0/native.jpg"


def test_the_size_of_the_manifest_counts_where_the_service_has_none() -> None:
    service = read_service({"id": BASE, "type": "ImageService2", "profile": "level1"})
    assert service is not None
    assert made_url(service, 256, 600, 300) == f"{BASE}/full/256,/0/default.jpg"
    assert made_url(service, 256) == ""  # unknown: larger than the original, perhaps


@pytest.mark.parametrize(
    ("side", "size"), [(150, "200,"), (200, "200,"), (201, "400,"), (1600, "1600,")]
)
def test_a_service_of_level_0_has_the_sizes_that_it_lists(side: int, size: str) -> None:
    service = read_service(two(0, sizes=SIZES))
    assert service is not None and made_url(service, side) == ""
    assert listed_url(service, side, "body") == f"{BASE}/full/{size}/0/default.jpg"


def test_without_a_listed_size_that_is_large_enough_the_image_of_the_manifest_is_taken() -> None:
    service = read_service(two(0, sizes=SIZES))
    assert service is not None
    for side in (1601, None):
        assert listed_url(service, side, "https://museum.org/1.jpg") == "https://museum.org/1.jpg"
        assert listed_url(service, side, "") == f"{BASE}/full/full/0/default.jpg"
    small = read_service(three(0, sizes=[{"width": 50, "height": 100}], width=50, height=100))
    assert small is not None
    assert listed_url(small, 256, "") == f"{BASE}/full/50,100/0/default.jpg"  # all that there is


def test_the_info_json_completes_what_a_manifest_says() -> None:
    bare = read_service({"@id": BASE})
    assert bare is not None and made_url(bare, 256, 4000, 2000) == ""
    whole = read_info(two(2) | {"@id": "https://elsewhere.org/evil"}, bare)
    assert made_url(whole, 256) == f"{BASE}/full/!256,256/0/default.jpg"
    level = read_service({"id": BASE, "type": "ImageService3", "profile": "level1"})
    assert level is not None
    info = {"id": BASE, "width": 100, "height": 400}
    assert made_url(read_info(info, level), 200) == f"{BASE}/full/50,/0/default.jpg"


def test_numbers_that_are_none_are_unknown() -> None:
    odd = three(2, width=float("nan"), height=True, maxWidth="9", maxArea=-3, sizes=[[], {}, 1])
    service = read_service(odd | {"maxHeight": 10**30})
    assert service is not None
    assert (service.width, service.height, service.max_width, service.max_area) == (0, 0, 0, 0)
    assert (service.max_height, service.sizes) == (0, ())


def test_very_many_sizes_are_bounded() -> None:
    service = read_service(three(0, sizes=SIZES * 1000))
    assert service is not None and len(service.sizes) == 100
