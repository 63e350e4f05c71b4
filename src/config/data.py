"""The options of where images come from, data and download: type, default, unit and check.

Nothing heavy is imported here, so that a wrong option is refused at once.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from src.config.enums import Decode, Resize, View
from src.config.validation import at_least, between, folder, is_address
from src.errors import UserError


def option(default: Any, text: str) -> Any:
    """A field whose text stands in --help."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": text})
    return field(default=default, metadata={"help": text})


@dataclass
class Data:
    """Options of every source of images."""

    image_size: str | None = option(
        None,
        "pixels of the longer side: what is fetched (nga), what larger files are first reduced to;"
        " thumb = 200; null = as they are",
    )
    limit: int | None = option(None, "take a seeded sample of this many images; null = all")
    batch_size: int | None = option(
        None, "images that go through the network at once; null = by the machine"
    )
    decode: Decode = option(
        Decode.scaled,
        "scaled: JPEGs far larger than the network's input are decoded at 1/2, 1/4 or 1/8 of their"
        " size, several times as fast; full: every pixel",
    )
    workers: int | None = option(None, "processes that decode images; null = by the machine")
    resize: Resize = option(
        Resize.squash, "to the network's square: the whole picture squashed, center crop, or padded"
    )
    max_pixels: int = option(100_000_000, "larger images are skipped before they are decoded")

    def __post_init__(self) -> None:
        if not re.fullmatch(r"thumb|[1-9]\d*|None", str(self.image_size)):
            raise UserError(
                f"data.image_size must be a number of pixels, thumb or null, got {self.image_size}"
            )
        at_least(16, data__image_size=self.longer_side)
        at_least(2, data__limit=self.limit)
        at_least(1, data__batch_size=self.batch_size, data__max_pixels=self.max_pixels)
        at_least(0, data__workers=self.workers)

    @property
    def longer_side(self) -> int | None:
        """image_size in pixels."""
        if self.image_size is None:
            return None
        return 200 if self.image_size == "thumb" else int(self.image_size)


@dataclass
class Nga(Data):
    """The National Gallery of Art's open data."""

    image_size: str | None = "256"
    tables: str = option(
        "https://raw.githubusercontent.com/NationalGalleryOfArt/opendata/main/data",
        "where the tables are: a URL or a folder",
    )
    classification: str = option("painting", "kind of object; all = every kind")
    view: View = option(View.primary, "one image an object, or other views too")
    open_access: bool = option(True, "only images that are in the public domain")
    artists: list[str] = option([], "only these artists; empty = all")
    refresh: bool = option(False, "fetch the tables again where they have changed")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_address(self.tables) and not Path(self.tables).is_dir():
            raise UserError(
                f"data.tables={self.tables} is neither a folder nor an http(s) address: give the"
                " place of published_images.csv, objects.csv and the tables beside them"
            )
        if not self.classification:
            raise UserError("data.classification must be a kind of object, or all; got nothing")


@dataclass
class Folder(Data):
    """Any folder of images, nested or flat; nothing is copied."""

    images: str = option(MISSING, "the folder")
    labels: str | None = option(
        None, "a CSV with a column file and any label columns; null = the first sub-folder level"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images in (MISSING, ""):
            raise UserError("data=folder needs data.images=<a folder of images>")
        folder("data.images", self.images)
        if self.labels is not None and not Path(self.labels).is_file():
            raise UserError(f"data.labels={self.labels} is not a file: give the path of a CSV")


@dataclass
class Demo(Data):
    """Paintings that the program draws itself: no network, no account."""

    image_size: str | None = "256"


@dataclass
class Download:
    workers: int = option(8, "connections at once")
    requests_per_second: float = option(20.0, "of all workers together; 0 = no limit")
    max_bytes: int = option(50_000_000, "a larger image is refused")
    max_failed: float = option(0.05, "share of the images that may be missing, else exit code 1")
    retry_failed: bool = option(False, "ask again for images that failed for good, such as 404")
    contact: str | None = option(None, "your e-mail or page, told to the host's operators")

    def __post_init__(self) -> None:
        between(1, 64, download__workers=self.workers)
        if self.requests_per_second:
            between(0.001, 10_000, download__requests_per_second=self.requests_per_second)
        at_least(1, download__max_bytes=self.max_bytes)
        between(0, 1, download__max_failed=self.max_failed)
        if self.contact and not (self.contact.isascii() and self.contact.isprintable()):
            raise UserError(f"download.contact must be plain ASCII, got {self.contact!r}")
