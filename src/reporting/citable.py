"""Settings as results.json tells them to others: no option or part of a path that is private."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString

from src.config import Config
from src.config.addresses import redacted
from src.reporting.settings import PRIVATE, flatten
from src.reporting.text import as_utf8


def citable_options(cfg: Config) -> dict[str, Any]:
    """Return all options but the private ones as JSON has them, for a file that others read.

    Enums become their names, and of a path that leaves the working directory only the last part is
    told: the rest is of this machine, and may name a person.
    """
    return {name: _citable(value) for name, value in flatten(asdict(cfg)) if name not in PRIVATE}


def citable_overrides(words: Iterable[str]) -> list[str]:
    """Return overrides, name=value, without private ones and with the last parts of paths.

    >>> citable_overrides(['data.images="/home/me/my art"', "download.contact=me@x.org", "seed=1"])
    ['data.images="my art"', 'seed=1']
    >>> citable_overrides(["data.images=../me/art", "data.labels=works/labels.csv"])
    ['data.images=art', 'data.labels=works/labels.csv']
    >>> citable_overrides(["data={images: /home/me/art}", "x=[../me/a.csv,b/c]"])
    ['data={images:art}', 'x=[a.csv,b/c]']
    >>> citable_overrides(["data.labels=a/../../me/b.csv", "x=[a b/../../me/c.csv,d.csv]"])
    ['data.labels=b.csv', 'x=[c.csv,d.csv]']
    """
    told = []
    for word in words:
        override = OverridesParser.create().parse_override(word)
        if _holds_private(override.key_or_group):
            continue
        value = _citable(override._value)  # with its quotes, which value() takes off
        if value != override._value:
            text = replace(override, _value=value).get_value_element_as_str()
            word = f"{override.get_key_element()}={text}"
        told.append(as_utf8(word))
    return told


def _holds_private(name: str) -> bool:
    """Return whether an override sets a private option, itself or in download={contact: ...}."""
    return any(f"{private}.".startswith(f"{name}.") for private in PRIVATE)


def _citable(value: Any) -> Any:
    """Return a value, such as a list, with the last parts of paths, and enums by their names."""
    if isinstance(value, list | tuple):
        return [_citable(part) for part in value]
    if isinstance(value, dict):
        return {name: _citable(part) for name, part in value.items()}
    if isinstance(value, QuotedString):
        return replace(value, text=_citable(value.text))
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, str):
        text = as_utf8(redacted(value))
        path = PurePosixPath(text)
        return path.name or text if text.startswith(("/", "~")) or ".." in path.parts else text
    return value
