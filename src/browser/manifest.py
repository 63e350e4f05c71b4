"""The IIIF manifest of a painting's page: by server, and written by python -m src.show --iiif."""

from collections.abc import Callable, Iterable
from functools import partial

from src.browser.addresses import HERE, address_of, picture_path
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
from src.browser.site import NotThere, Parameters
from src.config.addresses import file_uri
from src.errors import UserError
from src.reporting.iiif_images import (
    Picture,
    Resource,
    WebImage,
    fitted,
    known_size,
    museum_picture,
    published_picture,
    size_of,
)
from src.reporting.iiif_manifest import MOST_NEIGHBORS, manifest
from src.reporting.phrases import describe_order, describe_run, warn_of

Pictures = Callable[[OpenRun, int], Picture]  # of rows whose image has no web address of its own


def has_manifest(run: OpenRun, rows: Iterable[int]) -> bool:
    """Return whether images can be canvases: their sizes and pictures are known."""
    gallery = run.gallery
    return all(
        known_size(gallery, row) and (gallery.has_pictures or museum_picture(gallery, row))
        for row in rows
    )


def manifest_address(run: OpenRun, row: int, wanted: Wanted) -> str:
    """Return the address of the manifest of what a painting's page shows, relative to that page."""
    chosen = wanted.parameters(wanted.only, default_count(run))
    return address_of(f"manifest/{row}.json", **chosen)


def read_manifest_wanted(run: OpenRun, parameters: Parameters) -> Wanted:
    """Return what the address of a manifest asks for: as of a page, but for more values of k."""
    wanted, asked = read_wanted(run, parameters), parameters.get("k", "")
    k = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 9 else 0
    return wanted._replace(k=k) if 1 <= k <= MOST_NEIGHBORS else wanted


def served_manifest(run: OpenRun, row: int, wanted: Wanted, base: str = HERE) -> Resource:
    """Return the manifest as a server at the address `base`, which ends in a slash, has it.

    Images without a web address of their own are the pictures of its pages.
    """
    address = f"{base}{run.number}/{manifest_address(run, row, wanted)}"
    found = find(run, row, wanted)
    return _manifest(run, row, wanted, found, address, partial(_served_picture, base))


def _served_picture(base: str, run: OpenRun, row: int) -> Picture:
    size = size_of(run.gallery, row)
    large, small = (
        WebImage(base + picture_path(kind, run.images, row), fitted(size, side))
        for kind, side in (("pictures", LARGE), ("thumbnails", SMALL))
    )
    return Picture(size, large, small)


def written_manifest(
    run: OpenRun, row: int, k: int | None, base: str | None, name: str
) -> Resource:
    """Return the manifest with k neighbors, by default the run's own, as a file of that name.

    With `base`, the address of a folder, it is known by its address there, and so are images
    without a web address of their own, by their paths. Without it, by that which the browser of
    this run has. Raises UserError if an image has no address then, or if the run has not kept so
    many neighbors and others cannot be found.
    """
    kept = run.index.shape[1]
    wanted = Wanted(min(kept, MOST_NEIGHBORS) if k is None else k)
    found = find(run, row, wanted)
    if found.problem:
        raise UserError(f"-k {wanted.k}: the run has kept {kept} neighbors, and {found.problem}")
    served = f"{HERE}{run.number}/{manifest_address(run, row, wanted)}"
    address = file_uri(base, name) if base else served
    return _manifest(run, row, wanted, found, address, partial(_published_picture, base))


def _published_picture(base: str | None, run: OpenRun, row: int) -> Picture:
    if base:
        return published_picture(run.gallery, row, base)
    raise UserError(
        f"{run.gallery.files[row]} has no public address in the columns iiif and url of works.csv:"
        f" give --base-url, the address at which you publish the folder {run.gallery.root}, or take"
        " the manifest of the painting's page in python -m src.browse, which serves its pictures"
    )


def _manifest(
    run: OpenRun, row: int, wanted: Wanted, found: Found, address: str, pictures: Pictures
) -> Resource:
    """Return the manifest of what was found."""

    def picture(row: int) -> Picture:
        """Return an image by its own address, else as one of pictures. Raises NotThere."""
        if not has_manifest(run, [row]):
            raise NotThere(
                f"{run.gallery.files[row]} has no picture of known size for a manifest: give"
                " data.images, or data.labels with columns iiif, width and height"
            )
        return museum_picture(run.gallery, row) or pictures(run, row)

    about = _about(run, wanted, found)
    return manifest(address, run.gallery, row, found.neighbors, picture, about)


def _about(run: OpenRun, wanted: Wanted, found: Found) -> dict[str, str]:
    """Return by name which images these are, and why."""
    only = [ONLY_TEXTS[wanted.only]] if wanted.only else []
    chosen = [*only, *(f"{column.replace('_', ' ')} {value}" for column, value in wanted.labels)]
    fit = f" that fit ({', '.join(chosen)})" if chosen else ""
    facts = {
        "Neighbors": f"{len(found.neighbors)} nearest of {found.among:,} images{fit}, best first",
        "Features": describe_run(run.settings),
        "Order": describe_order(run.settings).removeprefix("order: "),
        "Warning": warn_of(run.settings).capitalize(),
    }
    return {name: fact for name, fact in facts.items() if fact}
