"""Settings of Pillow while images are read."""

import threading
import warnings

from PIL import Image


class PillowSettings:
    """Context that disables Pillow's pixel limit and its warnings about metadata.

    Both are settings of the whole process, so the last thread that leaves restores them.
    src.io.images checks data.max_pixels before decoding instead.
    """

    def __init__(self) -> None:
        self._lock, self._readers = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._readers:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
                self._warnings = warnings.catch_warnings()
                self._warnings.__enter__()
                warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            self._readers += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                Image.MAX_IMAGE_PIXELS = self._limit
                self._warnings.__exit__(None, None, None)


PILLOW_SETTINGS = PillowSettings()
