"""Names of a sweep's runs: the number and the settings that differ, "3 · layer2 · whiten · k=5".

They are the same in the browser, in TensorBoard and in wandb. Imports no torch.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.config.overrides import varied_overrides
from src.io.printable import printable
from src.reporting.baselines import MARK
from src.reporting.phrases import NULL, phrase, plain_value
from src.reporting.settings import PRIVATE

SEPARATOR = " · "
MAX_LETTERS = 24  # of a value in tables, plots and names
MAX_BYTES = 128  # of a name: wandb's limit, and well below that of a file system
SHORT = {"similarity.top_k": "k"}  # of options, which else are told by their last word
# Their values alone say what they are
ALONE = {
    *("backbone.name", "backbone.weights", "backbone.layer", "similarity.postprocess"),
    *("similarity.ranking", "data.resize", "data.images", "data.labels", "data.features"),
}


def shorten(text: str) -> str:
    """Return the last part of a path to a file, or the start of a long text.

    >>> shorten("/weights/style.pth"), shorten("timm/vit"), shorten("a" * 30)
    ('style.pth', 'timm/vit', 'aaaaaaaaaaaaaaaaaaaaaaa…')
    """
    is_path = text.startswith(("/", "./", "../")) or text.count("/") > 1
    text = text.rstrip("/").rpartition("/")[2] if is_path else text
    return text if len(text) <= MAX_LETTERS else f"{text[: MAX_LETTERS - 1]}…"


def short_phrase(name: str, text: str) -> str:
    """Return the value of a setting as a part of a run's name.

    >>> short_phrase("similarity.top_k", "5"), short_phrase("backbone.layer", "layer2")
    ('k=5', 'layer2')
    >>> short_phrase("similarity.postprocess", "none"), short_phrase("seed", "1")
    ('no post-processing', 'seed=1')
    """
    if (name, text) == ("backbone.weights", "random"):
        return MARK
    if (name, text) == ("similarity.postprocess", "none"):
        return phrase(name, text)  # "none" alone would say nothing
    if name in ALONE or "." not in name and name != "seed" or text in NULL.values():
        return text
    return f"{SHORT.get(name, name.rpartition('.')[2])}={text}"


def join_name(parts: Iterable[str]) -> str:
    """Return the parts as a name of at most MAX_BYTES that a folder can have.

    >>> join_name(["3", "timm/vit", "", "k=5"])
    '3 · timm-vit · k=5'
    """
    name = printable(SEPARATOR.join(filter(None, parts))).replace("/", "-")
    if len(encoded := name.encode()) <= MAX_BYTES:
        return name
    return encoded[: MAX_BYTES - len("…".encode())].decode("utf-8", "ignore") + "…"


def job_name(
    sweep: Path, number: str, overrides: Sequence[str], settings: Mapping[str, Any]
) -> str:
    """Return the name of a sweep's job: its number, and the settings that the sweep varies.

    settings are by dotted name; a choice of a group of options, backbone=..., is not among them.
    Private settings are left out: trackers get the name.
    """
    parts = [number]
    for word in varied_overrides(sweep, overrides):
        name, _, value = word.partition("=")
        if name not in PRIVATE:
            parts.append(short_phrase(name, shorten(plain_value(name, settings.get(name, value)))))
    return join_name(parts)
