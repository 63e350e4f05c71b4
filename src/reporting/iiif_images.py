"""Where images are on the web, and how large they are there, as resources of a IIIF manifest."""

import mimetypes
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from src.config.addresses import file_uri, public_uri
from src.errors import UserError
from src.gallery import Gallery
from src.gallery.iiif.image_service import Service, image_url, profile, whole_url
from src.gallery.iiif.parts import REQUEST, WHOLE, requested
from src.io.images import pixel_size

Resource = dict[str, Any]  # of JSON
Size = tuple[int, int]  # width and height

THUMBNAIL = 200  # pixels, the width that is asked of a server
MAX_THUMBNAIL = 512  # pixels, the longer side of a downloaded image that serves as one
JPEG = "image/jpeg"
# Formats that the system may not know, by the end of a file's name
FORMATS = {".avif": "image/avif", ".heic": "image/heic", ".heif": "image/heif", ".jxl": "image/jxl"}
FORMATS |= {".jp2": "image/jp2", ".webp": "image/webp", ".tga": "image/x-tga"}
PROFILE = re.compile(
    r"(?:https?://(?:iiif\.io/api/image/([123])/"
    r"|(library)\.stanford\.edu/iiif/image-api/(?:1\.[01]/)?\w+\.html#))?level([012])(?:\.json)?"
)
SHOWN_BY_BROWSERS = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif")
NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class WebImage(NamedTuple):
    """An image at an address."""

    address: str
    size: Size | None  # pixels, if known
    format: str = JPEG
    service: Service | None = None

    def resource(self) -> Resource:
        """Return it as the body of an annotation, or as a thumbnail."""
        found: Resource = {"id": self.address, "type": "Image", "format": self.format}
        if self.size:
            found |= {"width": self.size[0], "height": self.size[1]}
        return found | ({"service": [_resource(self.service)]} if self.service else {})


def _resource(service: Service) -> Resource:
    """Return a service as version 3 of the Presentation API names those of each version."""
    kind, level = f"ImageService{service.version}", profile(service)
    if service.version < 3:
        return {"@id": service.url, "@type": kind, "profile": level}
    return {"id": service.url, "type": kind, "profile": level}


class Picture(NamedTuple):
    """An image as a canvas shows it."""

    size: Size  # of the canvas: the image's own
    image: WebImage
    thumbnail: WebImage | None = None


def museum_picture(gallery: Gallery, row: int) -> Picture | None:
    """Return the image of a row where it is on the web already, None if that is unknown.

    Its address is in the column iiif of works.csv, of a service or a file, else in url. Raises
    UserError as size_of does.
    """
    work = work_of(gallery, row)
    service, address = _service(work), public_uri(work.get("url", ""))
    if service is None:
        file = next(filter(_format, (public_uri(work.get("iiif", "")), address)), "")
        image = WebImage(file, None, _format(file))
        return Picture(size_of(gallery, row), image) if file else None
    size = _full_size(work, size_of(gallery, row))
    image = WebImage(whole_url(service), size, JPEG, service)
    if service.level == 0 and address:  # only the sizes that it names are there
        image = WebImage(address, size_of(gallery, row), _format(address) or JPEG, service)
    return Picture(size, image, _thumbnail(work, size, service, address))


def _service(work: Mapping[str, str]) -> Service | None:
    """Return the service of an image, None if there is no address of one.

    The column iiif has its address, that of its description, or that of the whole image in a size.
    That of a part is one of a picture, as it is without a profile if it ends as one.
    """
    given = public_uri(work.get("iiif", ""))
    address = REQUEST.sub("", given).removesuffix("/info.json").rstrip("/")
    parts, named = urlsplit(address), work.get("iiif_profile", "")
    if not address or parts.query or parts.fragment or requested(given) != WHOLE:
        return None
    if not named and parts.path.lower().endswith(SHOWN_BY_BROWSERS):
        return None
    return service_at(address, named)


def service_at(address: str, named: str) -> Service | None:
    """Return the service at an address, by its profile as services name it, such as level2.

    Without a profile it is of version 2 and level 1: what it must do at least to answer the sizes
    that are asked for here. Of a text that is no profile there is none.
    """
    found = PROFILE.fullmatch(named or profile(Service(address, 2, 1)))
    if found is None:
        return None
    return Service(address, int(found[1] or (1 if found[2] else 3)), int(found[3]))


def _full_size(work: Mapping[str, str], downloaded: Size) -> Size:
    """Return the size that the museum tells, that of the downloaded image if they do not agree.

    They agree if the downloaded one is the other one scaled, and rounded to pixels.
    """
    full = _size(work, "iiif_width", "iiif_height")
    if full is None:
        return downloaded
    (width, height), (w, h) = full, downloaded
    return full if abs(w * height - h * width) <= 1.5 * max(full) else downloaded


def _thumbnail(
    work: Mapping[str, str], size: Size, service: Service, address: str
) -> WebImage | None:
    """Return the image as it was downloaded, if it is small, else what the service makes of it."""
    downloaded = _size(work, "width", "height")
    if address and downloaded and max(downloaded) <= MAX_THUMBNAIL:
        return WebImage(address, downloaded, _format(address) or JPEG, service)
    if service.level == 0:
        return None
    width = min(THUMBNAIL, size[0])
    scaled = (width, max(1, round(width * size[1] / size[0])))
    return WebImage(image_url(service, f"{width},"), scaled, JPEG, service)


def work_of(gallery: Gallery, row: int) -> dict[str, str]:
    """Return what works.csv says about an image, by column, without what is unknown."""
    return {str(name): text for name, text in gallery.works.iloc[row].items() if text}


def size_of(gallery: Gallery, row: int) -> Size:
    """Return known_size of an image. Raises UserError if it is unknown."""
    size = known_size(gallery, row)
    if size is None:
        raise UserError(
            f"the size of {gallery.files[row]} is unknown: works.csv has no width and height of it,"
            " and its file cannot be read"
        )
    return size


def known_size(gallery: Gallery, row: int) -> Size | None:
    """Return width and height of an image: by works.csv, its file or the museum, None if unknown.

    The museum's is that of the original.
    """
    work, path = work_of(gallery, row), gallery.root / gallery.files[row]
    here = _size(work, "width", "height") or pixel_size(path)
    return here or _size(work, "iiif_width", "iiif_height")


def _size(work: Mapping[str, str], *columns: str) -> Size | None:
    width, height = (work.get(column, "") for column in columns)
    is_size = NUMBER.fullmatch(width) and NUMBER.fullmatch(height)
    return (int(width), int(height)) if is_size else None


def published_picture(gallery: Gallery, row: int, folder: str) -> Picture:
    """Return the image of a row as a file below `folder`, the address of the gallery's images."""
    address, size = file_uri(folder, gallery.files[row]), size_of(gallery, row)
    return Picture(size, WebImage(address, size, _format(address) or "application/octet-stream"))


def fitted(size: Size, side: int) -> Size:
    """Return the size of an image that is scaled down to fit a square, as pictures of pages are."""
    scale = side / max(*size, side)
    return max(1, round(scale * size[0])), max(1, round(scale * size[1]))


def _format(address: str) -> str:
    """Return the media type that the end of an address tells, "" if it is none of an image."""
    suffix = Path(urlsplit(address).path).suffix.lower()
    found = FORMATS.get(suffix) or mimetypes.types_map.get(suffix, "")
    return found if found.startswith("image/") else ""
