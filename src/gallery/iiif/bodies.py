"""The images that annotations paint on a canvas, of both versions of the Presentation API."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from src.gallery.iiif.image_service import Service, number, read_service, whole_url
from src.gallery.iiif.parts import REQUEST, WHOLE, Part, fragment, requested, selected
from src.gallery.iiif.resources import kind, located, objects
from src.io.json_text import Json, as_list

OTHER_MEDIA = {"video", "sound", "audio", "movingimage", "text", "textualbody", "document"}
OTHER_MEDIA |= {"dataset", "model"}
NO_PART = "parts of images that no service cuts out"


@dataclass(frozen=True)
class Picture:
    """An image, or a part of one, on a canvas."""

    url: str  # as the manifest gives it; "" of a part that only the service can make
    width: int = 0  # pixels of the whole image, 0 if the manifest does not say
    height: int = 0
    service: Service | None = None
    part: Part = WHOLE

    @property
    def name(self) -> str:
        """Return the address that stands for the image in all sizes."""
        if self.service is None:
            return self.url
        return self.service.url if self.part == WHOLE else whole_url(self.service, self.part)


def painted(canvas: Json) -> Iterator[Picture | str]:
    """Yield what each annotation paints on a canvas: an image, or as a text why it is none.

    Of a choice it is the first.
    """
    annotations = objects(canvas.get("images"))  # Presentation 2
    for page in objects(canvas.get("items")):
        annotations += objects(page.get("items"))
    for annotation in annotations:
        motivation = annotation.get("motivation", "painting")
        names = [m.casefold() for m in as_list(motivation) if isinstance(m, str)]
        if any(name.endswith("painting") for name in names):  # sc:painting, and sc:Painting
            for body in as_list(annotation.get("body", annotation.get("resource"))):
                yield from _resolved({"id": body} if isinstance(body, str) else body)


def _resolved(body: Any) -> Iterator[Picture | str]:
    """Yield the image that a body stands for: the first of a choice, the part of a whole."""
    selectors: list[Any] = []
    while isinstance(body, dict):
        match kind(body):
            case "choice":  # items: Presentation 3; default, item: Presentation 2
                options = body.get("items") or body.get("default") or body.get("item")
            case "specificresource":
                if selectors:  # a part of a part
                    yield NO_PART
                    return
                selectors = [*filter(None, as_list(body.get("selector")))]
                options = body.get("source") or body.get("full")
                options = {"id": options, "type": "Image"} if isinstance(options, str) else options
            case _:
                yield _picture(body, selectors)
                return
        body = next(iter(as_list(options)), None)


def _picture(body: Json, selectors: list[Any]) -> Picture | str:
    """Return the image that a body is, or the part of it that is selected."""
    media = body.get("format")
    is_other = isinstance(media, str) and not media.casefold().startswith("image/")
    if kind(body) in OTHER_MEDIA or (is_other and kind(body) != "image"):
        return "other media, such as video, sound and text"
    service, (url, behind) = read_service(body.get("service")), located(body)
    if service is None and not url:
        return "images without a usable address"
    whole = Picture(url, number(body.get("width")), number(body.get("height")), service)
    if selectors:
        part = selected(selectors, url)
    elif behind.startswith("xywh="):
        part = fragment(behind, url)
    else:
        return _requested(whole)
    if part and service and part.region == f"0,0,{service.width},{service.height}":
        part = part._replace(region="full")
    if part == WHOLE:
        return whole
    return replace(whole, url="", part=part) if part and service else NO_PART


def _requested(picture: Picture) -> Picture:
    """Return an image as its address asks for it: the part that is in the address, if any."""
    part, service = requested(picture.url), picture.service
    if part == WHOLE or service is None:
        return picture
    base = REQUEST.sub("", picture.url)
    if part is None or base.partition("://")[2] != service.url.partition("://")[2]:
        return replace(picture, service=None)
    return replace(picture, width=0, height=0, part=part)  # the body's size is that of the part
