"""What stands at the foot of every page: settings, hashes and metrics of a run.

Pages may be published, so they tell what decides about a result, and nothing about the machine:
paths are shortened to their last part, addresses lose a password.
"""

import re
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from src.browser.opened import OpenRun
from src.leaderboard.words import has_effect
from src.reporting.phrases import describe_order, describe_run, name_collection, warn_of
from src.reporting.settings import PRIVATE

PATHS = (  # or other texts
    *("data.images", "data.labels", "data.judgements", "data.features", "data.tables"),
    *("data.manifest", "backbone.weights"),
)
PATH = re.compile(r"[/~\\]|\.\.?[/\\]|[A-Za-z]:[/\\]")  # the start of one


def facts(run: OpenRun) -> dict[str, Any]:
    """Return the facts of a run by the names that base.jinja has for them."""
    settings = run.settings
    shown = [
        (name, public_value(name, value))
        for name, value in settings.items()
        if has_effect(name, settings, selecting=True) and name not in PRIVATE
    ]
    metrics = [(name, public_value(name, value)) for name, value in run.metrics.items()]
    return {
        "collection": name_collection(run.gallery, settings.get("data.open_access") is True),
        "settings": describe_run(settings),
        "order": describe_order(settings),
        "warning": warn_of(settings),
        "folder": run.files.path.absolute().name,
        "all": [*_hashes(run), *shown, *metrics],
    }


def public_value(name: str, value: Any) -> Any:
    """Return the value of a setting or a metric as everybody may see it.

    >>> public_value("data.images", "/home/ann/paintings"), public_value("data.limit", 5)
    ('paintings', 5)
    >>> public_value("data.tables", "https://ann:secret@museum.org/data?key=1")
    'https://museum.org/data'
    """
    if isinstance(value, list):
        return [public_value(name, part) for part in value]
    if not isinstance(value, str):
        return value
    if "://" in value:
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    is_path = name in PATHS or PATH.match(value)
    return PurePath(value.replace("\\", "/")).name if is_path else value


def _hashes(run: OpenRun) -> list[tuple[str, Any]]:
    """Return what tells the run's images and labels from others."""
    paths = run.files.paths()
    labels = [(f"hash of {column}", value) for column, value in run.files.label_hashes().items()]
    return [("hash of the images", paths.get("images", "unknown")), *labels]
