"""Settings of runs: which of them can change a result, and how a person would write them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from src.config import Config
from src.config.sources import SOURCES
from src.reporting.baselines import is_random
from src.reporting.phrases import phrase, plain_value
from src.reporting.run_names import MAX_LETTERS, join_name, short_phrase, shorten

Settings = Mapping[str, Any]  # by dotted name

# They say which images and labels are compared, and those are the same on a board
SELECTING = {
    *("data.images", "data.labels", "data.limit", "data.tables", "data.classification"),
    *("data.view", "data.open_access", "data.artists", "data.max_pixels"),
    *("data.manifest", "data.language", "data.max_manifests"),
}
# They decide about speed, files and devices, or how finely an interval is computed
WITHOUT_EFFECT = {
    *(
        "outputs",
        "backbone.layers",
        "backbone.poolings",
        "data.batch_size",
        "data.workers",
        "data.timeout",
    ),
    *("data.refresh", "similarity.block_size", "similarity.precision", "escape_formulas"),
    "similarity.write_csv",
    *("evaluation.labels", "evaluation.resamples", "evaluation.halves", "evaluation.all_pairs"),
}
GROUPS_WITHOUT_EFFECT = ("download.", "tracking.", "trainer.")
BUT_WITH_EFFECT = {"trainer.precision"}
# A setting, and the value of another one without which it means nothing
ONLY_WITH = {
    "backbone.gem_p": ("backbone.pooling", "gem"),
    "similarity.whiten_power": ("similarity.postprocess", "whiten"),
    "similarity.whiten_dim": ("similarity.postprocess", "whiten"),
    "similarity.dtype": ("similarity.storage", "full"),
}
ORDER = ("backbone", "similarity", "data", "trainer", "evaluation")  # of groups; others are last


def differing_settings(runs: Iterable[Settings], selecting: bool = False) -> list[str]:
    """Return the names of the settings that can change a result and differ between the runs.

    A run that lacks a setting, as one that never started does, does not differ in it. With
    `selecting`, the settings that choose the images and labels count, too.
    """
    values = dict[str, set[str]]()
    for settings in runs:
        for name in filter(lambda name: has_effect(name, settings, selecting), settings):
            values.setdefault(name, set()).add(str(settings[name]))
    names = [name for name, found in values.items() if len(found) > 1]
    return sorted(names, key=lambda name: _place(name.partition(".")[0]))


def has_effect(name: str, settings: Settings, selecting: bool = False) -> bool:
    """Return whether the setting can change a result of a run with these settings."""
    if name in SELECTING:
        return selecting
    if name.startswith(GROUPS_WITHOUT_EFFECT) and name not in BUT_WITH_EFFECT:
        return False
    if name == "similarity.whiten_power" and settings.get("similarity.whiten_from"):
        return False  # the power is in what another run has fitted
    other, value = ONLY_WITH.get(name, ("", None))
    return name not in WITHOUT_EFFECT and settings.get(other, value) == value


def _place(group: str) -> int:
    return ORDER.index(group) if group in ORDER else len(ORDER)


def column_texts(name: str, runs: Sequence[Settings]) -> list[str]:
    """Return the setting's value in each run, shortened, "" where it has none or no effect.

    Different values have different texts: the names of two files become paths if they are equal.
    """
    written = [
        plain_value(name, run[name]) if name in run and has_effect(name, run) else ""
        for run in runs
    ]
    for way in (shorten, _end):
        texts = {text: way(text) for text in written}
        if len(set(texts.values())) == len(texts):
            return [texts[text] for text in written]
    return written


def _end(text: str) -> str:
    return text if len(text) <= MAX_LETTERS else f"…{text[1 - MAX_LETTERS :]}"


def run_labels(
    settings: Sequence[str], runs: Sequence[Settings], names: Sequence[str]
) -> list[str]:
    """Return a label for each run, in words: the settings in which it differs from others.

    Runs with equal settings are told apart by their names. The weights are left out where the
    network tells them, unless they are random.
    """
    columns = _columns(settings, runs)
    labels = [
        ", ".join(phrase(name, texts[at]) for name, texts in columns.items() if texts[at])
        for at in range(len(runs))
    ]
    return [
        label
        if label and labels.count(label) == 1
        else f"{label} (run {name})"
        if label
        else f"run {name}"
        for label, name in zip(labels, names, strict=True)
    ]


def short_names(
    runs: Sequence[Settings], numbers: Sequence[str], folders: Sequence[str]
) -> list[str]:
    """Return a name for each run: its number in its sweep, and the settings that differ.

    A run of its own has the number "". Runs with equal names are told apart by their folders.
    """
    columns = _columns(differing_settings(runs, selecting=True), runs)
    names = [
        join_name([numbers[at], *(short_phrase(n, t[at]) for n, t in columns.items() if t[at])])
        for at in range(len(runs))
    ]
    return [
        name if name and names.count(name) == 1 else join_name([name, folder])
        for name, folder in zip(names, folders, strict=True)
    ]


def _columns(settings: Sequence[str], runs: Sequence[Settings]) -> dict[str, list[str]]:
    """Return by setting its text in each run, "" where it is not worth a word."""
    columns = {setting: column_texts(setting, runs) for setting in settings}
    if _are_told_by(columns.get("backbone.name"), columns.get("backbone.weights")):
        random = map(is_random, runs)
        columns["backbone.weights"] = ["random" if is_it else "" for is_it in random]
    return columns


def _are_told_by(first: list[str] | None, second: list[str] | None) -> bool:
    """Return whether each value of the first column goes with one value of the second."""
    if first is None or second is None:
        return False
    return len(set(zip(first, second, strict=True))) == len(set(first))


def describe_setting(name: str) -> str:
    """Return the help text of an option, "" for an unknown one."""
    schemas: list[type] = [Config, *SOURCES.values()]
    for part in name.removeprefix("data.").split("."):
        found = [field for schema in schemas for field in fields(schema) if field.name == part]
        if not found:
            return ""
        hints = [get_type_hints(schema).get(part) for schema in schemas]
        schemas = [hint for hint in hints if isinstance(hint, type) and is_dataclass(hint)]
        text = str(found[0].metadata.get("help", ""))
    return text
