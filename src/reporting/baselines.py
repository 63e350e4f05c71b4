"""Baselines: runs whose network has learned nothing, and the mark that they bear. Imports no torch.

A network with random weights still ranks images by color and texture, so its numbers can look like
success. Every picture, page and table of such a run says MARK.
"""

from collections.abc import Mapping
from typing import Any

MARK = "random weights"


def is_random(settings: Mapping[str, Any]) -> bool:
    """Return whether the network's weights are random, by settings with dotted names.

    Both RunFolder.settings() and flat_options() have such names.

    >>> is_random({"backbone.weights": "random"}), is_random({"backbone.weights": "random.pth"})
    (True, False)
    """
    return settings.get("backbone.weights") == "random"
