"""Download images into one folder with several threads.

The folder holds <first two characters of the id>/<id>.jpg and journal.csv.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from src.downloader.client import PoliteClient
from src.downloader.downloader import Arrival, Downloader, write_whole
from src.downloader.errors import Failure, Outcome
from src.downloader.hosts import Task
from src.downloader.journal import Journal
from src.downloader.x_robots_tag import FORBIDDING, check_tags
from src.io.files import remove_own
from src.io.images import check_complete
from src.io.unreadable import Unreadable


@dataclass(frozen=True)
class Limits:
    """Largest accepted image."""

    bytes: int
    pixels: int


def path_of(folder: Path, image_id: str, suffix: str = ".jpg") -> Path:
    """Return the path of an image, or of another file that is downloaded."""
    return folder / image_id[:2] / f"{image_id}{suffix}"


def sizes_on_disk(folder: Path, suffix: str = ".jpg") -> dict[str, int]:
    """Return the size in bytes of each image in the folder, by id."""
    subfolders = (sub for sub in folder.glob("*") if sub.is_dir())
    files = (file for sub in subfolders for file in os.scandir(sub) if file.is_file())
    found = (file for file in files if file.name.endswith(suffix))
    return {file.name.removesuffix(suffix): file.stat().st_size for file in found}


def remove_partial_files(folder: Path) -> None:
    """Remove files left by killed processes. The caller must hold the lock of the folder.

    Behind a subfolder that is a link, and under names that path_of does not give, are other files.
    """
    for part in folder.glob("*/*.part"):
        if part.name.startswith(part.parent.name) and not part.parent.is_symlink():
            remove_own(part)


class ImageDownloader(Downloader):
    """Threads that download images, each decoded completely before it counts."""

    def __init__(
        self, folder: Path, journal: Journal, client: PoliteClient, limits: Limits
    ) -> None:
        super().__init__(folder, journal, client)
        self._limits = limits

    def request(self, task: Task) -> Arrival:
        """Send the next request for an image; return it with its size. Raises Failure, HostBusy."""
        try:
            with self._client.get(task.url, same_host=True) as response:
                check_tags(response, FORBIDDING)
                content_type = response.headers.get("Content-Type", "no Content-Type")
                kind = content_type.partition(";")[0].strip()
                if not kind.lower().startswith("image/"):
                    raise Failure(Outcome.bad, f"not an image: {kind}", 200)
                content = bytearray()  # a list of tiny chunks would take many times their bytes
                for chunk in self._client.iter_body(response, self._limits.bytes):
                    content += chunk
                body = bytes(content)
            with self._decoders:
                width, height = check_complete(body, self._limits.pixels)
            return Arrival(body, str(width), str(height))
        except Unreadable as error:
            raise Failure(Outcome.bad, str(error), 200) from error

    def save(self, image_id: str, arrival: Arrival) -> None:
        """Write an image, whole or not at all."""
        write_whole(path_of(self._folder, image_id), arrival.body)
