"""Settings as flat tables: nested options by dotted name."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType
from typing import Any, get_args, get_type_hints

from src.config import Config
from src.reporting.text import as_utf8


def flatten(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the value of every leaf of nested settings."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


PRIVATE = ["download.contact"]  # options that name a person: no tracker gets them


def tracked_options(cfg: Config) -> dict[str, str | float | bool]:
    """Return the options of a run for the trackers, without the private ones."""
    return {name: value for name, value in flat_options(cfg).items() if name not in PRIVATE}


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
