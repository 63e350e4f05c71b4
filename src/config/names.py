"""The names that may stand before = on the command line."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from src.config import Config
from src.config.data import SOURCES

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def option_names() -> set[str]:
    """Return the names of all options and groups."""
    groups = {path.name for path in CONFIGS.iterdir() if path.is_dir()}
    own = {name for schema in SOURCES.values() for name in _names(schema, "data.")}
    return {*groups, *_names(Config), *own}


def _names(schema: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of a dataclass's options."""
    hints = get_type_hints(schema)
    for field in fields(schema):
        if is_dataclass(hints[field.name]):
            yield from _names(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield prefix + field.name
