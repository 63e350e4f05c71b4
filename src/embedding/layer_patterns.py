"""Patterns of layers' names in backbone.layer, such as layer* or features.1?. Imports no torch."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from src.errors import UserError, did_you_mean

SIGNS = frozenset("*?[")
MAX_NAMES = 30  # in an error


def is_pattern(layer: str) -> bool:
    """Return whether a name in backbone.layer is a pattern."""
    return not SIGNS.isdisjoint(layer)


def matches(pattern: str, name: str) -> bool:
    """Return whether a name matches a pattern, part by part: no sign stands for a dot.

    >>> matches("layer*", "layer2"), matches("layer*", "layer2.0"), matches("*.1?", "features.12")
    (True, False, True)
    """
    patterns, parts = pattern.split("."), name.split(".")
    return len(patterns) == len(parts) and all(map(fnmatchcase, parts, patterns))


def matching_layers(pattern: str, layers: Sequence[Sequence[str]], network: str) -> list[str]:
    """Return the layers that match a pattern, in the order of the network.

    layers has the names of each, of which the first that matches is returned. Raises UserError if
    none does.
    """
    found = (next((name for name in names if matches(pattern, name)), None) for names in layers)
    if chosen := [name for name in found if name is not None]:
        return chosen
    listed = [names[0] for names in layers]
    more = f" and {len(listed) - MAX_NAMES} more" if len(listed) > MAX_NAMES else ""
    weight = "" if pattern.endswith("*") or "*" not in pattern else "; a weight is layer*0.5"
    raise UserError(
        f"backbone.layer={pattern} matches no layer of {network}, which has"
        f" {', '.join(listed[:MAX_NAMES])}{more}{weight}"
        f"{did_you_mean(pattern.strip('*?'), listed)}"
    )
