"""Which address of a IIIF image service gives an image of the wanted size.

https://iiif.io/api/image/3.0/, 2.1 and 1.1. A service of level 1 makes any width, one of level 2
fits an image into a square; one of level 0 has only the sizes that its info.json lists.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from src.config.addresses import has_user
from src.config.validation import is_address
from src.gallery.iiif.parts import WHOLE, Part
from src.io.json_text import Json, as_list

MAX_SERVICES = 20  # of an image
MAX_SIZES = 100  # that a service lists
CONTEXT = re.compile(r"iiif\.io/api/image/([123])/|library\.stanford\.edu/iiif/image-(a)pi")
TYPE = re.compile(r"ImageService([123])\b")
STANFORD = "http://library.stanford.edu/iiif/image-api/1.1/compliance.html"
LEVEL = re.compile(r"level([012])\b")
OTHER = re.compile(r"auth|search|geojson|physdim|services/(?!image)", re.IGNORECASE)
SIZES = frozenset({"sizebyw", "sizebyconfinedwh"})
# What services of each level do, by the names of features in version 2; 3 has the same
BY_LEVEL = {0: frozenset[str](), 1: frozenset({"sizebyw", "regionbypx"})}
BY_LEVEL[2] = BY_LEVEL[1] | {"sizebyconfinedwh", "regionbypct", "rotationby90s"}


@dataclass(frozen=True)
class Service:
    """An image service, as far as a manifest or its info.json describes it; 0 = not known."""

    url: str  # without /info.json
    version: int = 0  # of the Image API: 1, 2 or 3
    level: int | None = None
    features: frozenset[str] = frozenset()  # beyond the level, in lower case
    width: int = 0  # pixels of the whole image
    height: int = 0
    max_width: int = 0  # of what it sends
    max_height: int = 0
    max_area: int = 0
    sizes: tuple[tuple[int, int], ...] = ()  # width and height of what it has, smallest first

    @property
    def info_url(self) -> str:
        """Return the address of the service's description."""
        return f"{self.url}/info.json"

    @property
    def can(self) -> frozenset[str]:
        """Return the ways to ask for a size or a part, such as sizebyw."""
        return self.features | BY_LEVEL[self.level or 0]


def profile(service: Service) -> str:
    """Return version and level of a service as it names them itself, "" if they are not known.

    >>> profile(Service("https://museum.org/1", 3, 2)), profile(Service("https://museum.org/1", 2))
    ('level2', 'http://iiif.io/api/image/2/level0.json')
    """
    level = f"level{service.level or 0}"
    names = {1: f"{STANFORD}#{level}", 2: f"http://iiif.io/api/image/2/{level}.json", 3: level}
    return names.get(service.version, "")


def read_service(value: Any) -> Service | None:
    """Return the image service among the services of an image, None if there is none.

    It is the first that tells its version, else the first that may be one.
    """
    found = [_service(node) for node in as_list(value)[:MAX_SERVICES] if isinstance(node, dict)]
    services = [service for service in found if service]
    return next((service for service in services if service.version), next(iter(services), None))


def read_info(info: Json, service: Service) -> Service:
    """Return a service with what its info.json says; its address stays that of the manifest."""
    found = _service(info | {"id": service.url}) or service
    level = service.level if found.level is None else found.level
    return replace(found, version=found.version or service.version, level=level)


def made_url(
    service: Service, side: int | None, width: int = 0, height: int = 0, part: Part = WHOLE
) -> str:
    """Return the address of an image whose longer side has `side` pixels; None: the largest.

    It is never larger than the original, nor than the service allows. `width` and `height` are
    those of the manifest, which count if the service does not say its own. Returns "" if that is
    not enough to know, or the service makes no sizes, or not that part.
    """
    whole = (service.width, service.height) if service.width else (width, height)
    width, height = part.size(*whole)
    is_able = service.can & SIZES and part.needs <= service.can
    if not (service.version and is_able and width > 0 and height > 0):
        return ""
    limit = _largest(service, width, height)
    target = max(width, height) if side is None else min(side, max(width, height))
    target = min(target, limit)
    if side is None and limit >= max(width, height):
        return whole_url(service, part)
    if "sizebyconfinedwh" in service.can:
        return image_url(service, f"!{target},{target}", part)
    return image_url(service, f"{math.ceil(target * width / max(width, height))},", part)


def listed_url(service: Service, side: int | None, body: str) -> str:
    """Return the address of an image of a service that makes no sizes, but may list some.

    It is the smallest of those whose longer side has `side` pixels or that of the original, else
    the image that the manifest names, `body`, else the largest.
    """
    full = max(service.width, service.height)
    for width, height in service.sizes:
        enough = side is not None and max(width, height) >= side
        if enough or 0 < full <= max(width, height):
            return image_url(service, f"{width},{height}" if service.version > 2 else f"{width},")
    return body or whole_url(service)


def whole_url(service: Service, part: Part = WHOLE) -> str:
    """Return the address of an image in full size, as every server of that version knows it.

    All have to answer full up to version 2, where max is new in 2.1 and optional, and max in 3.

    >>> whole_url(Service("https://museum.org/1", 3)), whole_url(Service("https://museum.org/1", 2))
    ('https://museum.org/1/full/max/0/default.jpg', 'https://museum.org/1/full/full/0/default.jpg')
    """
    return image_url(service, "max" if service.version > 2 else "full", part)


def _largest(service: Service, width: int, height: int) -> int:
    """Return the longer side of the largest image that a service sends of width by height."""
    scale = 1.0
    limits = (service.max_width, width), (service.max_height or service.max_width, height)
    for limit, full in limits:
        scale = min(scale, limit / full) if limit else scale
    if service.max_area:
        scale = min(scale, math.sqrt(service.max_area / (width * height)))
    return max(1, int(scale * max(width, height)))


def image_url(service: Service, size: str, part: Part = WHOLE) -> str:
    """Return the address of an image that a service makes, of a size in the API's own words."""
    quality = "native" if service.version == 1 else "default"
    return f"{service.url}/{part.region}/{size}/{part.rotation}/{quality}.jpg"


def _service(node: Json) -> Service | None:
    """Read the description of a service, None if it is no image service."""
    url = node.get("id") or node.get("@id")
    if not isinstance(url, str) or not is_address(url) or has_user(url) or re.search("[?#]", url):
        return None
    profiles = as_list(node.get("profile"))
    names = [name for name in profiles if isinstance(name, str)]
    kinds = [node.get("@context"), node.get("type"), node.get("@type")]
    version = _version([*kinds, *names])
    if not version and any(map(OTHER.search, [*names, *map(str, kinds)])):
        return None
    levels = [match for name in names if (match := LEVEL.search(name))]
    service = Service(
        url.removesuffix("/info.json").rstrip("/"),
        version,
        int(levels[0][1]) if levels else None,
    )
    return _with_facts(service, node, [p for p in profiles if isinstance(p, dict)])


def _version(texts: list[Any]) -> int:
    """Return the version of the Image API that one of the texts names, 0 if none does."""
    flat = [text for item in texts for text in as_list(item)]
    for text in flat:
        match = isinstance(text, str) and (CONTEXT.search(text) or TYPE.search(text))
        if match:
            found = next(filter(None, match.groups()))
            return int(found) if found.isdecimal() else 1
    return 0


def _with_facts(service: Service, node: Json, profiles: list[Json]) -> Service:
    """Return a service with its sizes, limits and features: of version 2 in a profile."""
    features, limits = set[str](), {"maxwidth": 0, "maxheight": 0, "maxarea": 0}
    for part in (node, *profiles):
        for name in ("supports", "extraFeatures"):
            values = part.get(name)
            named = values if isinstance(values, list) else []
            features |= {text.casefold() for text in named if isinstance(text, str)}
        for name in ("maxWidth", "maxHeight", "maxArea"):
            limits[name.casefold()] = number(part.get(name)) or limits[name.casefold()]
    return replace(
        service,
        features=frozenset(features & BY_LEVEL[2]),
        width=number(node.get("width")),
        height=number(node.get("height")),
        max_width=limits["maxwidth"],
        max_height=limits["maxheight"],
        max_area=limits["maxarea"],
        sizes=tuple(sorted(_sizes(node.get("sizes")), key=max)),
    )


def _sizes(value: Any) -> Iterator[tuple[int, int]]:
    for size in value[:MAX_SIZES] if isinstance(value, list) else []:
        if isinstance(size, dict):
            width, height = number(size.get("width")), number(size.get("height"))
            if width and height:
                yield width, height


def number(value: Any) -> int:
    """Return a number of pixels, 0 if it is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 1 <= value <= 2**40 else 0
