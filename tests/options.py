"""A configuration with other options."""

from dataclasses import replace
from typing import Any

from src.config import Config


def changed(cfg: Config, group: str, **options: Any) -> Config:
    """cfg with these options of a group, "data" or "trainer", say."""
    return replace(cfg, **{group: replace(getattr(cfg, group), **options)})
