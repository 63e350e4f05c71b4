"""The names that may stand before = on the command line, and the defaults of options."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from src.config import Config
from src.config.sources import SOURCES

Swept = Mapping[str, Sequence[str]]  # by option, the values that the jobs of a sweep give to it
CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def option_names() -> set[str]:
    """Return the names of all options and groups."""
    groups = {path.name for path in CONFIGS.iterdir() if path.is_dir()}
    return {*groups, *option_defaults()}


@cache
def option_defaults() -> dict[str, Any]:
    """Return by name the default of each option as a plain value: an enum's name, null as None."""
    of_sources = [found for schema in SOURCES.values() for found in _options(schema, "data.")]
    return {name: _plain(field) for name, field in [*of_sources, *_options(Config)]}


def _options(schema: Any, prefix: str = "") -> "Iterator[tuple[str, Field[Any]]]":
    """Yield the dotted names and the fields of a dataclass's options."""
    hints = get_type_hints(schema)
    for field in fields(schema):
        if is_dataclass(hints[field.name]):
            yield from _options(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, field


def _plain(field: "Field[Any]") -> Any:
    default = field.default_factory() if callable(field.default_factory) else field.default
    return default.name if isinstance(default, Enum) else default
