"""List the images below a folder, and say what else is there."""

import heapq
import logging
import os
import re
from collections import Counter
from pathlib import Path

from PIL import Image

from src.errors import UserError
from src.io.images import pixel_size
from src.io.outputs import Outputs

log = logging.getLogger(__name__)

# Folders and files of network drives, desktops and archives: thumbnails, bins, databases
SYSTEM_NAMES = {
    *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "$recycle.bin"),
    *("recycler", "recycled", "lost+found", "found.000", "system volume information"),
    *("__macosx", "~snapshot", "@__thumb", "@tmp"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini"),
}
RUN_MARKERS = {".hydra", "gallery.yaml"}  # in the folders of earlier runs and galleries
EXTRA_SUFFIXES = {".heic", ".heif", ".hif", ".jxl"}  # read by plugins of the extra formats
MAX_LISTED = 8  # kinds or folders in a message


def find_images(folder: Path, suffixes: set[str], outputs: Path | None) -> list[str]:
    """Return the image files below a folder, as sorted paths relative to it.

    These have one of the suffixes, or none and the content of an image. Hidden files and those of
    the system are left out, and so is what the program itself has written, in `outputs` or by an
    earlier run. Links to folders are followed, each folder once. A log line counts the other
    files by kind. Raises UserError if the folder cannot be read.
    """
    walk = _Walk(folder, suffixes, outputs)
    walk.run()
    if reason := walk.unreadable.get(""):
        raise UserError(f"{folder} cannot be read: {reason}")
    walk.report()
    return sorted(walk.files)


class _Walk:
    """Visits the folders below a root: first the real ones, then those behind links.

    So a folder is listed under its own path if it has one below the root.
    """

    def __init__(self, root: Path, suffixes: set[str], outputs: Path | None) -> None:
        self.files = list[str]()
        self.unreadable = dict[str, str]()  # folders, with the reason
        self._others = Counter[str]()  # other files by kind
        self._left_out = Counter[str]()  # hidden and the system's by name
        self._again = list[str]()  # links to folders that are listed elsewhere
        self._suffixes = suffixes
        self._root = os.path.realpath(root)
        self._own = {os.path.realpath(path) for path in _written_folders(outputs)}
        self._visited = set[str]()
        self._folders = [("", self._root)]  # to visit: path below the root, real path
        self._links = list[tuple[str, str]]()  # a heap of the same

    def run(self) -> None:
        """Visit every folder."""
        while self._folders or self._links:
            if self._folders:
                self._visit(*self._folders.pop())
            else:
                path, real = heapq.heappop(self._links)
                if real in self._visited or _is_within(self._root, real):
                    self._again.append(path)
                else:
                    self._folders.append((path, real))

    def _visit(self, path: str, real: str) -> None:
        if real in self._visited:
            return
        self._visited.add(real)
        try:
            with os.scandir(real) as entries:
                found = list(entries)
        except OSError as error:
            self.unreadable[path] = error.strerror or str(error)
            return
        if path and RUN_MARKERS & {entry.name for entry in found}:
            self._left_out["folders of earlier runs"] += 1
            return
        for entry in found:
            self._add(entry, f"{path}/{entry.name}" if path else entry.name, real)

    def _add(self, entry: "os.DirEntry[str]", path: str, parent: str) -> None:
        """Take a file, or remember a folder to visit."""
        if entry.name.casefold() in SYSTEM_NAMES:
            self._left_out[entry.name] += 1
        elif entry.name.startswith("."):
            self._left_out["hidden"] += 1
        elif not _is_folder(entry):
            self._add_file(path, Path(parent, entry.name))
        elif (real := _real_path(entry, parent)) in self._own:
            self._left_out["folders of outputs"] += 1
        elif entry.is_symlink():
            heapq.heappush(self._links, (path, real))
        else:
            self._folders.append((path, real))

    def _add_file(self, path: str, file: Path) -> None:
        kind = _kind(file.name)
        if kind in self._suffixes or (not kind and _has_image_content(file, self._suffixes)):
            self.files.append(path)
        else:
            self._others[kind or "no suffix"] += 1

    def report(self) -> None:
        """Log what is not among the images."""
        if self.unreadable:
            reasons = [f"{path} ({reason})" for path, reason in sorted(self.unreadable.items())]
            text = "folders that cannot be read, whose images are left out: %d: %s"
            log.warning(text, len(reasons), _shortened(reasons))
        if self._others:
            log.info("%d other files: %s%s", self._others.total(), _counts(self._others), self.hint)
        if self._left_out:
            log.info("left out: %s", _counts(self._left_out))
        if self._again:
            text = "links to folders that are listed already: %d: %s"
            log.info(text, len(self._again), _shortened(self._again))

    @property
    def hint(self) -> str:
        """Return what makes some of the other files readable, "" if nothing does."""
        kinds = sorted(EXTRA_SUFFIXES & set(self._others))
        return f" ({' and '.join(kinds)} need: pip install -e .[formats])" if kinds else ""


def _written_folders(outputs: Path | None) -> list[Path]:
    """Return the folders that runs write: that of outputs, and those in it if it is the root."""
    if outputs is None:
        return []
    folders = Outputs(outputs)
    parts = [folders.galleries, folders.embeddings, folders.runs, folders.sweeps]
    return [outputs, *parts]


def _is_within(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or whose target cannot be reached
        return False


def _real_path(entry: "os.DirEntry[str]", parent: str) -> str:
    path = os.path.join(parent, entry.name)
    return os.path.realpath(path) if entry.is_symlink() else path


def _kind(name: str) -> str:
    """Return the suffix of a file's name in lower case, "" if it has none.

    What follows the last dot of 1937.1.10 or of St. Lazare is no suffix.

    >>> _kind("a.JPG "), _kind("1937.1.10"), _kind("St. Lazare")
    ('.jpg', '', '')
    """
    suffix = Path(name.strip()).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z][\w+~-]*", suffix) else ""


def _has_image_content(path: Path, suffixes: set[str]) -> bool:
    """Return whether a file is an image by its header, and by the signature of a suffix's format.

    TGA has no signature: its header may be any bytes.
    """
    try:
        if not path.is_file() or pixel_size(path) is None:
            return False
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return False
    names = Image.registered_extensions()
    formats = {names[suffix] for suffix in suffixes & names.keys()} & Image.OPEN.keys()
    signatures = (Image.OPEN[name][1] for name in formats)
    return any(accepts is not None and accepts(start) for accepts in signatures)


def _counts(counter: Counter[str]) -> str:
    """Return names with counts, most frequent first."""
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return _shortened([f"{name} {count}" for name, count in ordered])


def _shortened(texts: list[str]) -> str:
    more = len(texts) - MAX_LISTED
    return ", ".join([*texts[:MAX_LISTED], *([f"and {more} more"] if more > 0 else [])])
