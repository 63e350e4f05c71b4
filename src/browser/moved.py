"""Images that are not where the run has read them."""

import os.path

from src.browser.opened import OpenRun

SAMPLE = 5  # files that are looked for, as a page must not wait for all of a network drive


def moved_images(run: OpenRun) -> str:
    """Return that images are missing, and the way out, as a sentence; "" if they are there."""
    root, files = run.gallery.root, run.gallery.files
    step = -(-len(files) // SAMPLE)
    if all(os.path.isfile(root / file) for file in files[::step]):
        return ""
    return (
        f"The images are not in {root} any more: those that were not shown before are gray, until"
        " they are back there or a new run has read them elsewhere."
    )
