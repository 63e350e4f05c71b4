"""What options are checked with. Nothing heavy is imported here."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from src.errors import UserError


def is_address(text: str) -> bool:
    """Whether it is an http or https address of some host."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for what is no number
    except ValueError:
        return False
    plain = text.isprintable() and " " not in text and len(text) < 8000
    return parts.scheme in ("http", "https") and 0 < len(parts.hostname or "") < 254 and plain


@cache
def model_names() -> list[str]:
    """torchvision's classification models, read from its sources: importing it takes seconds."""
    spec = find_spec("torchvision")
    assert spec is not None and spec.origin is not None
    sources = (Path(spec.origin).parent / "models").glob("*.py")
    builder = re.compile(r"^@register_model\(\)(?:\n@.*)*\ndef (\w+)", re.MULTILINE)
    return sorted(name for path in sources for name in builder.findall(path.read_text("utf-8")))


def at_least(low: float, **options: int | None) -> None:
    """Raises UserError for an option below the bound; __ stands for the dot of its name."""
    for name, value in options.items():
        if value is not None and value < low:
            raise UserError(f"{name.replace('__', '.')} must be at least {low}, got {value}")


def between(low: float, high: float, **options: float) -> None:
    """Raises UserError for an option outside the bounds; __ stands for the dot of its name."""
    for name, value in options.items():
        if not low <= value <= high:  # nan is outside too
            bounds = f"between {low:g} and {high:g}"
            raise UserError(f"{name.replace('__', '.')} must be {bounds}, got {value}")


def folder(name: str, value: str) -> None:
    """Raises UserError when the option's value is no folder."""
    if not Path(value).is_dir():
        what = "is not a folder" if Path(value).exists() else "does not exist"
        raise UserError(f"{name}={value} {what}: give the path of a folder of images")
