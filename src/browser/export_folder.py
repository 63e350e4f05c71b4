"""The folder of an export: it is ours or empty, says whether it is complete, and can be resumed.

export.json is written first and tells what is exported; index.html, by which people open an export,
is written last. What lies in a folder that has the one and not the other is an export that was
interrupted. The same command goes on with its pictures; one with other options begins anew.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from src import __version__
from src.browser.export_plan import Export
from src.browser.site import Site
from src.errors import UserError
from src.io.bounded import read_json
from src.io.files import atomic_write, folder_lock

MARKER, INDEX, LOCK = "export.json", "index.html", ".lock"
PICTURES = ("thumbnails", "pictures")
OURS = {MARKER, INDEX, LOCK, "static", *PICTURES}
PROGRAM = "painting-similarity"


def facts_of(site: Site, options: Export) -> dict[str, Any]:
    """Return what decides which files an export has, and what is in its pictures."""
    return {
        "program": PROGRAM,
        "version": __version__,
        "runs": [
            [run.files.path.absolute().name, run.images, run.gallery.fingerprint()]
            for run in site.runs
        ],
        "limit": options.limit,
        "seed": options.seed,
        "thumbnail": options.thumbnail,
        "picture": options.picture,
    }


def refuse_foreign(folder: Path, site: Site) -> None:
    """Raise UserError unless a folder can become that of an export.

    It must not exist, be empty or hold an earlier export, and not lie among the images of a run.
    """
    for run in site.runs:
        if folder.resolve().is_relative_to(run.gallery.root.resolve()):
            raise UserError(
                f"{folder} is in {run.gallery.root}, the folder of the run's images, where a later"
                " run would take the export's pictures for paintings: choose another folder"
            )
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{folder} is no folder: choose another name for --export")
    if not folder.exists():
        return
    names, earlier = {path.name for path in folder.iterdir()}, _earlier(folder)
    if not all(map(_is_left, names)) and not earlier:
        raise UserError(
            f"{folder} is not empty and holds no earlier export: choose an empty or a new folder"
        )
    if foreign := sorted(name for name in names if not _is_ours(name, earlier)):
        raise UserError(
            f"{folder} holds an earlier export and also {foreign[0]}, which is not of it: move that"
            " elsewhere, or choose a new folder"
        )


def _is_left(name: str) -> bool:
    """Return whether an export that was killed may leave a file of this name."""
    starts = tuple(f"{whole}." for whole in (MARKER, INDEX))
    return name == LOCK or (name.startswith(starts) and name.endswith(".part"))


def _earlier(folder: Path) -> dict[str, Any]:
    """Return the facts of the export in a folder, {} if there is none."""
    marker = folder / MARKER
    facts = read_json(marker) if marker.is_file() else {}
    return facts if isinstance(facts, dict) and facts.get("program") == PROGRAM else {}


def _is_ours(name: str, facts: dict[str, Any]) -> bool:
    """Return whether the export with these facts has a file or a folder of this name."""
    runs = facts.get("runs")
    folders = map(str, range(len(runs))) if isinstance(runs, list) else ()
    return name in OURS or name in folders or _is_left(name)


def present_bytes(folder: Path, facts: dict[str, Any]) -> int:
    """Return the size of the pictures with which an export goes on."""
    if not folder.is_dir() or _earlier(folder) != facts:
        return 0
    return sum(
        entry.stat().st_size
        for kind in PICTURES
        for path, _, _ in os.walk(folder / kind)
        for entry in os.scandir(path)
        if entry.is_file(follow_symlinks=False)
    )


@contextmanager
def begun(folder: Path, facts: dict[str, Any]) -> Iterator[None]:
    """Hold the folder of an export for the block, and leave in it only what the export keeps.

    While the block runs, and if it fails, the folder has no index.html.
    """
    with folder_lock(folder):
        kept = PICTURES if _earlier(folder) == facts else ()
        with suppress(FileNotFoundError):
            (folder / INDEX).unlink()
        for path in list(folder.iterdir()):
            if path.name not in (MARKER, LOCK, *kept):
                _remove(path)
        with atomic_write(folder / MARKER) as part:
            part.write_text(json.dumps(facts, indent=2) + "\n")
        yield


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
