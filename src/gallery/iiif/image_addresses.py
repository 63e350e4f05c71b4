"""The address of each image at the wanted size: from its manifest, or from an info.json."""

from dataclasses import dataclass, replace

from src.gallery.iiif.bodies import NO_PART, Picture
from src.gallery.iiif.crawl import Found
from src.gallery.iiif.documents import Documents, Unavailable
from src.gallery.iiif.image_service import listed_url, made_url, profile, read_info
from src.gallery.iiif.labels import Row
from src.gallery.iiif.parts import WHOLE

LARGE = 1024  # pixels, beyond which many services set limits that only their info.json tells


@dataclass(frozen=True)
class Work:
    """An image that may be in the gallery, with its labels."""

    image_id: str
    picture: Picture
    row: Row


def with_addresses(
    works: list[Work], side: int | None, documents: Documents, found: Found
) -> tuple[list[Row], int]:
    """Return the rows with the address of the wanted size, and how many may have one later.

    An info.json is requested only where the manifest says too little about the service. A part of
    an image that its service does not cut out is left out, and counted.
    """
    addresses = [_address(work.picture, side) for work in works]
    unknown = [w for w, url in zip(works, addresses, strict=True) if not url]
    documents.want(w.picture.service.info_url for w in unknown if w.picture.service)
    rows, missing = [], 0
    for work, url in zip(works, addresses, strict=True):
        picture = work.picture if url else _described(work.picture, documents, found)
        if picture is None:
            missing += 1
        elif url := url or _address(picture, side) or _listed(picture, side):
            rows.append(work.row | _facts(picture) | {"url": url})
        else:
            found.counts[NO_PART] += 1
    return rows, missing


def _address(picture: Picture, side: int | None) -> str:
    """Return the address of an image as far as the manifest tells it, else ""."""
    service = picture.service
    if service is None:
        return picture.url
    if not service.width and (side is None or side > LARGE):
        return ""
    if service.version and service.level == 0 and service.sizes and picture.part == WHOLE:
        return listed_url(service, side, picture.url)
    return made_url(service, side, picture.width, picture.height, picture.part)


def _listed(picture: Picture, side: int | None) -> str:
    """Return the address of an image whose service makes no sizes, or is not known.

    It is "" of a part that has none in the manifest.
    """
    if picture.service is None or picture.part != WHOLE:
        return picture.url
    return listed_url(picture.service, side, picture.url)


def _described(picture: Picture, documents: Documents, found: Found) -> Picture | None:
    """Return an image with what the info.json of its service says, None if that may be had later.

    Where it cannot be had at all, the image is taken as the manifest gives it.
    """
    assert picture.service is not None
    try:
        info = documents.read(picture.service.info_url)
    except Unavailable as reason:
        found.counts[f"info.json not read: {reason}"] += 1
        return None if reason.is_transient else replace(picture, service=None)
    return replace(picture, service=read_info(info, picture.service))


def _facts(picture: Picture) -> Row:
    """Return what a viewer has to know of the service of an image: of the whole, not of a part."""
    service = picture.service
    if service is None or picture.part != WHOLE:
        return {}
    size = {"iiif_width": service.width or picture.width}
    size |= {"iiif_height": service.height or picture.height}
    row = {column: str(pixels) for column, pixels in size.items() if pixels}
    return row | {"iiif": service.url, "iiif_profile": profile(service)}
