"""The IIIF manifest of a painting's page: by server, and written by python -m src.show --iiif."""

from collections.abc import Callable
from urllib.parse import urlencode

from src.browser.addresses import HERE, picture_path
from src.browser.filters import (
    ONLY_TEXTS,
    Found,
    Wanted,
    default_count,
    find,
    read_wanted,
)
from src.browser.opened import OpenRun
from src.browser.pictures import LARGE, SMALL
from src.browser.site import Parameters
from src.errors import UserError
from src.reporting.iiif_images import (
    Picture,
    Resource,
    WebImage,
    fitted,
    museum_picture,
    published_picture,
    size_of,
)
from src.reporting.iiif_manifest import MOST_CANVASES, manifest
from src.reporting.phrases import describe_order, describe_run, warn_of

MOST = MOST_CANVASES - 1  # neighbors
Elsewhere = Callable[[int], Picture]  # of rows whose image is not on the web


def manifest_address(run: OpenRun, row: int, wanted: Wanted) -> str:
    """Return the address of the manifest with what an address of a painting's page asks for.

    It is relative to a page of the run.
    """
    chosen = wanted.parameters(wanted.only, default_count(run))
    given = {"row": row} | {
        name: value for name, value in chosen.items() if value not in (None, "")
    }
    return f"manifest.json?{urlencode(given, errors='surrogateescape')}"


def read_manifest_wanted(run: OpenRun, parameters: Parameters) -> Wanted:
    """Return what the address of a manifest asks for: as of a page, but for any k up to MOST."""
    wanted, asked = read_wanted(run, parameters), parameters.get("k", "")
    is_count = asked.isascii() and asked.isdecimal() and len(asked) < 9
    return wanted._replace(k=int(asked)) if is_count and 1 <= int(asked) <= MOST else wanted


def served_manifest(run: OpenRun, row: int, wanted: Wanted, base: str = HERE) -> Resource:
    """Return the manifest as a server at the address `base` has it, which ends in a slash.

    Images that are on the web already are there, those of others on this server.
    """

    def picture(row: int) -> Picture:
        """Return the pictures of pages."""
        size = size_of(run.gallery, row)
        large, small = (
            f"{base}{picture_path(k, run.images, row)}" for k in ("pictures", "thumbnails")
        )
        image, thumbnail = (
            WebImage(large, fitted(size, LARGE)),
            WebImage(small, fitted(size, SMALL)),
        )
        return Picture(size, image, thumbnail)

    address = f"{base}{run.number}/{manifest_address(run, row, wanted)}"
    return _manifest(run, row, wanted, find(run, row, wanted), address, picture)


def written_manifest(
    run: OpenRun, row: int, k: int | None, base: str | None, name: str
) -> Resource:
    """Return the manifest with k neighbors, by default the run's own, as a file of that name.

    It is known by its address below `base`, where images that are not on the web yet are too, by
    their paths. Without base, by that which python -m src.browse has for it. Raises UserError if an
    image has no address then, or if more neighbors cannot be found.
    """
    wanted = Wanted(min(run.index.shape[1], MOST) if k is None else k)
    found = find(run, row, wanted)
    if found.problem:
        raise UserError(
            f"-k {wanted.k}: the run has kept {run.index.shape[1]} neighbors, and {found.problem}"
        )
    address = (
        f"{base}/{name}" if base else f"{HERE}{run.number}/{manifest_address(run, row, wanted)}"
    )

    def picture(row: int) -> Picture:
        """Return the image as a file below base."""
        if not base:
            raise UserError(
                f"{run.gallery.files[row]} has no web address in the columns iiif and url of"
                " works.csv: give --base-url, the address at which you publish the folder"
                f" {run.gallery.root}, or take the manifest of the painting's page in"
                " python -m src.browse, which serves its pictures itself"
            )
        return published_picture(run.gallery, row, base)

    return _manifest(run, row, wanted, found, address, picture)


def _manifest(
    run: OpenRun, row: int, wanted: Wanted, found: Found, address: str, elsewhere: Elsewhere
) -> Resource:
    """Return the manifest of what was found."""

    def picture(row: int) -> Picture:
        """Return the image where it is on the web, else elsewhere."""
        return museum_picture(run.gallery, row) or elsewhere(row)

    summary = _summary(run, wanted, found)
    return manifest(address, run.gallery, row, found.neighbors, picture, summary)


def _summary(run: OpenRun, wanted: Wanted, found: Found) -> str:
    """Return in sentences which images these are, and why."""
    only = [ONLY_TEXTS[wanted.only]] if wanted.only else []
    chosen = [*only, *(f"{column.replace('_', ' ')} {value}" for column, value in wanted.labels)]
    fit = f" that fit ({', '.join(chosen)})" if chosen else ""
    nearest = f"The {len(found.neighbors)} nearest of {found.among:,} images{fit}, best first"
    facts = [
        nearest,
        describe_run(run.settings),
        describe_order(run.settings),
        warn_of(run.settings),
    ]
    return " ".join(f"{fact[:1].upper()}{fact[1:]}." for fact in facts if fact)
