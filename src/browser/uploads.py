"""Images that somebody asks about: received within bounds, kept by their content for a while."""

import asyncio
import errno
import hashlib
import logging
import os
from pathlib import Path
from threading import Lock

from rich import filesize
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from src.browser.addresses import page_address
from src.browser.pictures import CHECKSUM, DECODING, LARGE, LARGE_QUALITY, picture_of
from src.browser.site import NotThere, Site
from src.config.data import Data
from src.embedding.crop import parse_crop
from src.errors import UserError
from src.io.files import atomic_write
from src.io.images import load_rgb
from src.io.outputs import Outputs
from src.io.unreadable import Unreadable

log = logging.getLogger(__name__)

MAX_BYTES = 30_000_000  # of an upload
DRAINED_BYTES = 4 * MAX_BYTES  # read in vain, so that a browser shows the answer to what it sent
BODY_SECONDS = 120  # in which an upload must have arrived
MAX_KEPT, MAX_KEPT_BYTES = 500, 2_000_000_000  # of all uploads
LOCK = Lock()  # of the folder of uploads: one is added at a time


class TooLarge(UserError):
    """An upload has more than MAX_BYTES."""


async def upload(request: Request) -> Response:
    """Keep the image that is the body of a request; answer with the address of its neighbors.

    The answer is JSON: location, else error, a sentence.
    """
    site: Site = request.app.state.site
    try:
        site.run(request.path_params["run"])
        crop = parse_crop(request.query_params.get("crop", ""))
        async with asyncio.timeout(BODY_SECONDS):
            body = await _body(request)
        checksum = await run_in_threadpool(keep, body, site.outputs)
    except ClientDisconnect:
        return _error("the image did not arrive whole: send it again", 400)
    except TimeoutError:
        return _error(f"the image did not arrive in {BODY_SECONDS} seconds: send it again", 408)
    except NotThere as error:
        return _error(error, 404)
    except TooLarge as error:
        return _error(error, 413)
    except UserError as error:
        return _error(error, 400)
    except Unreadable as reason:
        return _error(f"this is no image that can be read: {reason}", 422)
    except OSError as error:
        log.warning("an upload could not be kept: %s", error)
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        way_out = "free some space" if is_full else "start the browser with another --outputs"
        return _error(f"the image could not be kept: {error.strerror}; {way_out}", 507)
    shown = request.query_params.get("crop") and str(crop)
    return JSONResponse({"location": page_address("query", image=checksum, crop=shown)})


def _error(text: object, status: int) -> Response:
    return JSONResponse({"error": str(text)}, status)


async def _body(request: Request) -> bytes:
    """Return the body of a request. Raises UserError if it is empty, cut off or TooLarge."""
    declared = request.headers.get("content-length", "")
    body, size = bytearray(), 0
    async for part in request.stream():
        size += len(part)
        if size <= MAX_BYTES:
            body += part
        elif size > DRAINED_BYTES:
            break
    if size > MAX_BYTES:
        raise TooLarge(
            f"an image of more than {filesize.decimal(MAX_BYTES)} is not taken: make it smaller, or"
            " ask with python -m src.query, which takes files of any size"
        )
    if not size:
        raise UserError("nothing was sent: choose an image")
    if declared.isdecimal() and size != int(declared):
        raise UserError("the image did not arrive whole: send it again")
    return bytes(body)


def keep(body: bytes, outputs: Outputs) -> str:
    """Keep an image below outputs and return its SHA-256. Raises Unreadable, or OSError.

    The oldest are removed where there are more than MAX_KEPT, or more than MAX_KEPT_BYTES.
    """
    checksum = hashlib.sha256(body).hexdigest()
    path = _path(outputs, checksum)
    with LOCK:
        if not path.is_file():
            with atomic_write(path) as part:
                part.write_bytes(body)
                _check(part)
        os.utime(path)
        _remove_oldest(outputs)
    return checksum


def _check(part: Path) -> None:
    """Decode an image. Raises Unreadable, whose reason does not name the file."""
    try:
        with DECODING:
            load_rgb(part, Data().max_pixels, lambda *size: (LARGE, LARGE))
    except Unreadable as error:
        unnamed = str(error).replace(f" {part.name!r}", "")
        raise Unreadable(unnamed) from error


def _remove_oldest(outputs: Outputs) -> None:
    """Remove the uploads that are too many; the newest one stays in any case."""
    kept = [(path.stat(), path) for path in outputs.queries.glob("??/*") if path.is_file()]
    total = 0
    newest_first = sorted(kept, key=lambda entry: entry[0].st_mtime_ns, reverse=True)
    for number, (status, path) in enumerate(newest_first):
        total += status.st_size
        if number and (number >= MAX_KEPT or total > MAX_KEPT_BYTES):
            path.unlink()


def kept_image(outputs: Outputs, checksum: str) -> Path:
    """Return the file of an upload. Raises NotThere."""
    if not CHECKSUM.fullmatch(checksum):
        raise NotThere("image must be the 64 hexadecimal digits of an image that was sent")
    path = _path(outputs, checksum)
    if not path.is_file():
        raise NotThere("this image is not here any more, or was sent to another server: choose it")
    return path


def _path(outputs: Outputs, checksum: str) -> Path:
    return outputs.queries / checksum[:2] / checksum


def sent_picture(site: Site, checksum: str) -> bytes:
    """Return an upload as JPEG of at most LARGE pixels a side. Raises NotThere."""
    return picture_of(kept_image(site.outputs, checksum), LARGE, LARGE_QUALITY)[0]


async def sent(request: Request) -> Response:
    """Answer with the picture of an upload."""
    checksum = request.path_params["checksum"]
    content = await run_in_threadpool(sent_picture, request.app.state.site, checksum)
    return Response(content, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})
