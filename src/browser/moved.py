"""Images that are not where the run has read them."""

import os.path

from src.browser.opened import OpenRun

SAMPLE = 5  # files that are looked for, as a page must not wait for all of a network drive


def missing_from(run: OpenRun) -> str:
    """Return the folder in which images are missing, "" if they are there."""
    root, files = run.gallery.root, run.gallery.files
    step = -(-len(files) // SAMPLE)
    return "" if all(os.path.isfile(root / file) for file in files[::step]) else str(root)
