"""Which part of an image a manifest shows, and how it is turned, in the words of the Image API.

A selector of a SpecificResource says it, a fragment of an address, or the address of an image
request: https://iiif.io/api/annex/openannotation/ and https://www.w3.org/TR/media-frags/.
"""

import re
from typing import Any, NamedTuple

from src.gallery.iiif.resources import kind

NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
REGION = re.compile(rf"(?:xywh=)?(pixel:|percent:|pct:)?{','.join([NUMBER] * 4)}")
# The end of an address of an image, behind that of its service
REQUEST = re.compile(
    r"/(?P<region>full|square|(?:pct:)?[\d.,]+)/(?P<size>[^/]+)/(?P<rotation>!?[\d.]+)"
    r"/(?:default|native|color|gr[ae]y|bitonal)\.\w+$"
)


class Part(NamedTuple):
    """A region of an image, and the degrees that it is turned by, as requests name them."""

    region: str = "full"
    rotation: str = "0"

    @property
    def needs(self) -> frozenset[str]:
        """Return the features that a service needs for it, in lower case."""
        by = "regionbypct" if self.region.startswith("pct:") else "regionbypx"
        needs = {by: self.region != "full", "rotationby90s": self.rotation != "0"}
        return frozenset(name for name, is_needed in needs.items() if is_needed)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height before it is turned, of an image of this size; 0 = not known."""
        if self.region == "full":
            return width, height
        unit, _, numbers = self.region.rpartition(":")
        x, y, w, h = map(float, numbers.split(","))
        across, down = (width / 100, height / 100) if unit else (1, 1)
        x, y, w, h = x * across, y * down, w * across, h * down
        w, h = min(w, width - x) if width else w, min(h, height - y) if height else h
        return int(w), int(h)  # a server may round down, and of version 3 does not enlarge


WHOLE = Part()


def requested(url: str) -> Part | None:
    """Return the part that an address of an image asks for, None if Part cannot tell it."""
    found = REQUEST.search(url)
    return _part(found["region"], found["rotation"]) if found else WHOLE


def selected(selectors: list[Any], url: str) -> Part | None:
    """Return what selectors select of the image at an address, None if no service may know it.

    They all select the same (https://www.w3.org/TR/annotation-model/#selectors).
    """
    parts = (_selected(selector, url) for selector in selectors if isinstance(selector, dict))
    return next(filter(None, parts), None)


def _selected(selector: dict[str, Any], url: str) -> Part | None:
    match kind(selector):
        case "imageapiselector":
            return _part(selector.get("region") or "full", selector.get("rotation") or "0")
        case "fragmentselector":
            return fragment(selector.get("value"), url)
    return None


def fragment(value: Any, url: str) -> Part | None:
    """Return the part that a fragment such as xywh=0,0,9,9 names: in pixels of the image at url.

    None if they are not those of the service, because the address asks for a part or a size.
    """
    found = REQUEST.search(url)
    is_whole = found is None or (found["region"], found["rotation"]) == WHOLE
    is_full = is_whole and (found is None or found["size"] in ("full", "max"))
    part = _part(value, "0")
    return part if part and (is_full or (is_whole and part.region.startswith("pct:"))) else None


def _part(region: Any, rotation: Any) -> Part | None:
    """Return a region and a rotation by quarters in one way of writing, None for others."""
    turned = re.fullmatch(NUMBER, str(rotation))
    degrees = float(turned[1]) % 360 if turned else -1
    box = "full" if region == "full" else _box(str(region).strip())
    return Part(box, f"{degrees:.0f}") if box and degrees in (0, 90, 180, 270) else None


def _box(text: str) -> str:
    """Return a region as requests have it, in whole pixels or percent; "" for no region."""
    found = REGION.fullmatch(text)
    if found is None or not (float(found[4]) and float(found[5])):
        return ""
    numbers = [float(number) for number in found.groups()[1:]]
    if found[1] in (None, "pixel:"):
        return ",".join(f"{number:.0f}" for number in numbers)
    if numbers == [0, 0, 100, 100]:
        return "full"
    return "pct:" + ",".join(f"{number:g}" for number in numbers)
