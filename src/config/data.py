"""Options of the groups data (where images come from) and download.

Imports only OmegaConf and the standard library, so that invalid options fail fast.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from src.config.addresses import check_no_secret, is_local, redacted
from src.config.enums import Decode, Resize, View
from src.config.validation import (
    check_bounds,
    check_folder,
    check_table,
    expand_home,
    is_address,
    option,
)
from src.errors import UserError

THUMB = 200  # pixels of image_size=thumb


def _image_size(default: str | None) -> Any:
    """Return the field data.image_size, whose default depends on the source of images."""
    return option(
        default,
        "longer side in pixels: requested from the server (nga, iiif); larger files are downscaled"
        f" to it first; thumb = {THUMB}; null = original size. Default for nga, iiif and demo: 256",
        low=16,
    )


@dataclass
class Data:
    """Options of every source of images."""

    image_size: str | None = _image_size(None)
    limit: int | None = option(
        None, "use a random sample of this many images (see seed); null = all images", low=2
    )
    batch_size: int | None = option(
        None, "images per forward pass; null = 16 on a CPU, 256 on a GPU", low=1
    )
    decode: Decode = option(
        Decode.scaled,
        "scaled: decode JPEGs that are far larger than the network's input at 1/2, 1/4 or 1/8 of"
        " their size, several times faster; full: decode every pixel",
    )
    workers: int | None = option(
        None, "processes that decode images; null = depends on the number of cores", low=0
    )
    timeout: int = option(
        300,
        "seconds without a newly decoded image after which embedding ends with an error, such as"
        " when a network drive hangs; 0 = wait for ever",
        low=0,
    )
    resize: Resize = option(
        Resize.squash,
        "how an image becomes the network's square input: squash (aspect ratio is lost), center"
        " crop, or pad",
    )
    max_pixels: int = option(
        100_000_000, "skip images with more pixels than this without decoding them", low=1
    )
    judgements: str | None = option(
        None,
        "CSV or .xlsx file with columns query, neighbor (files, or image_id) and judgement: 1 if"
        " the neighbor is a good one, else 0; the browser of runs writes one",
    )

    def __post_init__(self) -> None:
        check_bounds(self, "data")
        if self.judgements is not None:
            self.judgements = expand_home(self.judgements)
            check_table("data.judgements", self.judgements)
        if not re.fullmatch(r"thumb|[1-9]\d*|None", str(self.image_size)):
            raise UserError(
                f"data.image_size must be a number of pixels, thumb or null, got {self.image_size}"
            )

    @property
    def max_side(self) -> int | None:
        """Return image_size as a number of pixels, or None for the original size."""
        if self.image_size is None:
            return None
        return THUMB if self.image_size == "thumb" else int(self.image_size)


@dataclass
class Nga(Data):
    """The National Gallery of Art's open data."""

    image_size: str | None = _image_size("256")
    tables: str = option(
        "https://raw.githubusercontent.com/NationalGalleryOfArt/opendata/main/data",
        "URL or folder of the museum's CSV tables",
    )
    classification: str = option("painting", "kind of object; all = every kind")
    view: View = option(View.primary, "primary: one image per object; all: every view of it")
    open_access: bool = option(True, "only images in the public domain")
    artists: list[str] = option([], "only works by these artists; empty = all artists")
    netrc: bool = option(
        False,
        "send user and password that ~/.netrc (or the file that NETRC names) has for the host of"
        " data.tables, only to this host, by https",
    )
    refresh: bool = option(False, "check for newer tables and download those that have changed")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tables = expand_home(self.tables)
        check_no_secret("data.tables", self.tables)
        if not is_address(self.tables) and not Path(self.tables).is_dir():
            raise UserError(
                f"data.tables={redacted(self.tables)} is neither a folder nor an http(s) URL: give"
                " the location of published_images.csv, objects.csv and the other tables"
            )
        is_private = self.tables.startswith("https:") or is_local(self.tables)
        if self.netrc and not (is_address(self.tables) and is_private):
            raise UserError(
                f"data.netrc=true needs an https URL as data.tables, got {self.tables}: a password"
                " is not sent without encryption"
            )
        if not self.classification:
            raise UserError(
                "data.classification must be a kind of object or all, got an empty value"
            )


@dataclass
class Iiif(Data):
    """The images of IIIF manifests (Presentation API 2 and 3), of any institution."""

    image_size: str | None = _image_size("256")
    manifest: str = option(
        MISSING, "address or file of a IIIF collection or manifest; collections may be nested"
    )
    view: View = option(View.all, "all: every image of a manifest; primary: its first one")
    language: str = option(
        "en",
        "language of labels, such as de; where there is none, texts without a language, else in"
        " English, else the first",
    )
    max_manifests: int = option(
        20_000, "manifests to read at most, in the order of the collection", low=1, high=1_000_000
    )
    refresh: bool = option(False, "check for newer manifests and download those that have changed")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.manifest in (MISSING, ""):
            raise UserError("data=iiif needs data.manifest=<address or file of a manifest>")
        self.manifest = expand_home(self.manifest)
        check_no_secret("data.manifest", self.manifest)
        if not is_address(self.manifest) and not Path(self.manifest).is_file():
            raise UserError(
                f"data.manifest={redacted(self.manifest)} is neither a file nor an http(s) URL:"
                " give the location of a IIIF collection or manifest"
            )
        if not re.fullmatch(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", self.language):
            raise UserError(
                f"data.language must be the tag of a language, such as en, got {self.language!r}"
            )


@dataclass
class Folder(Data):
    """A folder of images, nested or flat, which are read in place."""

    images: str = option(MISSING, "folder of images, searched recursively")
    labels: str | None = option(
        None,
        "CSV or .xlsx file with a column named file and any label columns; null = the first level"
        " of subfolders is the label",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images in (MISSING, ""):
            raise UserError("data=folder needs data.images=<a folder of images>")
        self.images = expand_home(self.images)
        check_folder("data.images", self.images)
        if self.labels is not None:
            self.labels = expand_home(self.labels)
            check_table("data.labels", self.labels)


@dataclass
class Demo(Data):
    """Paintings drawn by the program itself, without network or account."""

    image_size: str | None = _image_size("256")


@dataclass
class Download:
    """Options of requests to the museum's servers."""

    workers: int = option(8, "simultaneous connections", low=1, high=64)
    requests_per_second: float = option(
        20.0, "rate limit for all connections together; 0 = no limit", low=0, high=10_000
    )
    max_bytes: int = option(50_000_000, "reject images with more bytes than this", low=1)
    max_failed: float = option(
        0.05, "exit with code 1 if a larger share of the images is missing", low=0, high=1
    )
    retry_failed: bool = option(
        False, "also request images that failed permanently before (such as 404)"
    )
    contact: str | None = option(
        None, "e-mail address or URL sent to the server's operators in the User-Agent"
    )

    def __post_init__(self) -> None:
        check_bounds(self, "download")
        if 0 < self.requests_per_second < 0.001:
            raise UserError(
                "download.requests_per_second must be 0 (no limit) or at least 0.001,"
                f" got {self.requests_per_second}"
            )
        check_no_secret("download.contact", self.contact or "")
        if self.contact and not (self.contact.isascii() and self.contact.isprintable()):
            raise UserError(f"download.contact must be plain ASCII, got {self.contact!r}")
