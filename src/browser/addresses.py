"""Addresses of pages and files, relative to a page of a run; the same by server and in an export.

0/gallery.html                          a page of run 0; beside it painting.html, map.html, ...
0/data/<name>/000.js                    a part of the data of run 0, see data.py
thumbnails/0/000/5.jpg, pictures/...    the image in row 5 of the first gallery
0/manifest/5.json                       by server: a painting and its neighbors for IIIF clients
static/                                 scripts and styles
"""

from urllib.parse import urlencode

PORT = 8050
HERE = f"http://127.0.0.1:{PORT}/"  # of the server, unless its options say otherwise
NO_PICTURE = "../static/no_picture.svg"  # relative to a page of a run, as in page.js
PER_FOLDER = 1000  # pictures in a folder
PREFIX = "f."  # of a label column in an address, so that it may have any name


def page_address(page: str, run: int | None = None, /, **parameters: object) -> str:
    """Return the address of a page of the same run, or of another run; None and "" are left out.

    >>> page_address("painting", row=5), page_address("painting", 1, row=5, only="artist")
    ('painting.html?row=5', '../1/painting.html?row=5&only=artist')
    """
    return address_of(f"{'' if run is None else f'../{run}/'}{page}.html", **parameters)


def address_of(path: str, /, **parameters: object) -> str:
    """Return a path with parameters; None and "" are left out."""
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(given, errors='surrogateescape')}" if given else path


def picture_path(kind: str, images: int, row: int) -> str:
    """Return the path of a picture below the root of all pages.

    >>> picture_path("thumbnails", 0, 12345)
    'thumbnails/0/012/12345.jpg'
    """
    return f"{kind}/{images}/{row // PER_FOLDER:03d}/{row}.jpg"


def picture_address(kind: str, images: int, row: int) -> str:
    """Return the address of a picture, relative to a page of a run."""
    return f"../{picture_path(kind, images, row)}"
