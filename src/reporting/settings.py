"""Settings as flat tables: nested options by dotted name."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from pathlib import PurePosixPath
from types import NoneType
from typing import Any, get_args, get_type_hints

from src.config import Config
from src.config.addresses import redacted
from src.reporting.text import as_utf8


def flatten(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the value of every leaf of nested settings."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


PRIVATE = ["download.contact"]  # options that name a person: no tracker gets them
# Of a path in a list or a group of options that leaves the working directory, all but its last part
LEAVES = r"""/|~|\.\.|[^/,\]}'":\s][^,\]}'":]*/\.\.(?=/)"""
FOLDERS_IN_LIST = re.compile(rf"""(?<=[\[{{,:\s'"])(?!//)(?:{LEAVES})[^,\]}}'"]*/""")


def tracked_options(cfg: Config) -> dict[str, str | float | bool]:
    """Return the options of a run for the trackers, without the private ones."""
    return {name: value for name, value in flat_options(cfg).items() if name not in PRIVATE}


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
    >>> citable_overrides(["data={images: /home/me/art}", "x=[../me/a.csv,b/c,https://d.org/e]"])
    ['data={images: art}', 'x=[a.csv,b/c,https://d.org/e]']
    >>> citable_overrides(["data.labels=a/../../me/b.csv", "x=[a b/../../me/c.csv,d.csv]"])
    ['data.labels=b.csv', 'x=[c.csv,d.csv]']
    """
    pairs = [word.partition("=") for word in words]
    kept = [(name, sign, value) for name, sign, value in pairs if not _holds_private(name)]
    return [f"{name}{sign}{_citable_override(value)}" for name, sign, value in kept]


def _holds_private(name: str) -> bool:
    """Return whether an override sets a private option, itself or in download={contact: ...}."""
    return any(f"{private}.".startswith(f"{name.lstrip('+~')}.") for private in PRIVATE)


def _citable_override(value: str) -> str:
    if value.startswith(("[", "{")):
        return FOLDERS_IN_LIST.sub("", as_utf8(redacted(value)))
    quote = value[:1] if value[:1] in ("'", '"') and value[-1:] == value[:1] else ""
    return f"{quote}{_citable(value.removeprefix(quote).removesuffix(quote))}{quote}"


def _citable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_citable(part) for part in value]
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, str):
        text = as_utf8(redacted(value))
        path = PurePosixPath(text)
        return path.name or text if text.startswith(("/", "~")) or ".." in path.parts else text
    return value


def flat_options(options: Any) -> dict[str, str | float | bool]:
    """Return a dataclass of options as plain values by dotted name, for the trackers.

    Enums become their names. An option that may be null becomes text, so that it has one type in
    all runs.
    """
    return dict(flatten(_plain_values(options)))


def _plain_values(options: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as nested dictionaries of plain values."""
    hints = get_type_hints(type(options))
    names = [field.name for field in fields(options)]
    return {
        name: _plain(getattr(options, name), NoneType in get_args(hints[name])) for name in names
    }


def _plain(value: Any, optional: bool) -> Any:
    if is_dataclass(value):
        return _plain_values(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, float | int) and not optional:
        return value
    return as_utf8(str(value))  # a path may hold bytes that are not UTF-8
