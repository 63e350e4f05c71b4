"""Options as dataclass fields with bounds, and validators for their values.

Imports only the standard library and errors, so that invalid options fail fast.
"""

import os
import re
from argparse import ArgumentTypeError
from dataclasses import Field, field, fields
from functools import cache
from importlib.util import find_spec
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from src.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")


def option(default: Any, text: str, *, low: float | None = None, high: float | None = None) -> Any:
    """Return a dataclass field with a help text and inclusive bounds.

    `low` and `high` hold for numbers and for text that is a number; high requires low. `--help`
    prints them, and `check_bounds` checks them.
    """
    metadata = {"help": text, "low": low, "high": high}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def bounds_text(option: "Field[Any]") -> str:
    """Return the range of an option as text ("between 1 and 64"), "" if it has no bounds."""
    low, high = option.metadata.get("low"), option.metadata.get("high")
    if low is None:
        return ""
    return f"at least {low}" if high is None else f"between {low} and {high}"


def check_bounds(options: "DataclassInstance", group: str = "") -> None:
    """Raise UserError for the first option of the dataclass that lies outside its bounds.

    `group` is the prefix of the options' names: download in download.workers.
    """
    for option in fields(options):
        low, high = option.metadata.get("low"), option.metadata.get("high")
        value = getattr(options, option.name)
        if isinstance(value, str):
            value = int(value) if value.isdecimal() else None  # auto and thumb have no bounds
        if low is None or value is None:
            continue
        if not low <= value or (high is not None and not value <= high):  # also true for NaN
            name = f"{group}.{option.name}" if group else option.name
            raise UserError(f"{name} must be {bounds_text(option)}, got {value}")


def is_address(text: str) -> bool:
    """Return whether text is an http or https URL with a host, which all programs read alike.

    A host is a name of ASCII letters, digits, dots, hyphens and underscores, or an IP address.
    """
    if not text.isprintable() or " " in text or "\\" in text or len(text) >= 8000:
        return False
    try:
        parts = urlsplit(text)
        is_port = parts.port is None or parts.port > 0  # raises ValueError unless it is a number
        if "[" in parts.netloc:
            IPv6Address(parts.hostname or "")  # raises ValueError
    except ValueError:
        return False
    is_host = HOST.fullmatch(parts.netloc.rpartition("@")[2]) is not None
    return parts.scheme in ("http", "https") and is_host and is_port


@cache
def model_names() -> list[str]:
    """Return torchvision's classification models, sorted.

    They are read from its source files, because importing torchvision takes seconds.
    """
    spec = find_spec("torchvision")
    assert spec is not None and spec.origin is not None
    sources = (Path(spec.origin).parent / "models").glob("*.py")
    builder = re.compile(r"^@register_model\(\)(?:\n@.*)*\ndef (\w+)", re.MULTILINE)
    return sorted(name for path in sources for name in builder.findall(path.read_text("utf-8")))


def expand_home(path: str) -> str:
    """Return a path with ~ or ~user at its start replaced by that user's folder, if there is one.

    Shells do not expand the ~ of name=~/path.
    """
    return os.path.expanduser(path)


def path_argument(text: str) -> Path:
    """Return an argument of a command as a path, as expand_home does.

    Raises ArgumentTypeError if it is empty, as an unset variable of a shell is.
    """
    if not text:
        raise ArgumentTypeError("give a path, got an empty value")
    return Path(expand_home(text))


def check_folder(name: str, value: str) -> None:
    """Raise UserError unless value, the value of the option name, is an existing folder."""
    if not Path(value).is_dir():
        problem = "is not a folder" if Path(value).exists() else "does not exist"
        raise UserError(f"{name}={value} {problem}: give the path of a folder of images")


def check_table(name: str, value: str) -> None:
    """Raise UserError unless value, the value of the option name, is an existing file."""
    if not Path(value).is_file():
        raise UserError(f"{name}={value} is not a file: give the path of a CSV or .xlsx file")
