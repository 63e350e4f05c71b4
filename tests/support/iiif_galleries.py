"""Galleries of data=iiif, made from the institution on localhost."""

from pathlib import Path
from typing import Any

from src.config import Config
from src.config.data import Download, Iiif
from src.gallery import Gallery
from src.gallery.museum import museum_gallery
from tests.support.iiif_host import IiifHost

TOP = "/p3/top.json"


def options(manifest: str, outputs: Path, **options: Any) -> Config:
    """Return the options of a run; options are those of Iiif and of Download."""
    download = {key: options.pop(key) for key in list(options) if hasattr(Download, key)}
    data = Iiif(manifest=manifest, **({"image_size": "32"} | options))
    limits = Download(**({"requests_per_second": 0} | download))
    return Config(data=data, download=limits, outputs=str(outputs))


def gallery(host: IiifHost, outputs: Path, path: str = TOP, **others: Any) -> Gallery:
    """Download what a document of the host names."""
    return museum_gallery(options(f"{host.address}{path}", outputs, **others))
