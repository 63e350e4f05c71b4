"""The text of --help, generated from the dataclasses of src.config and the files in configs/."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from textwrap import wrap
from typing import Any, cast, get_type_hints

from omegaconf import MISSING

from src.config import Config
from src.config.data import Demo, Folder, Nga

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SOURCES = {"nga": Nga, "folder": Folder, "demo": Demo}


def option_names() -> set[str]:
    """The names of all options and groups."""
    groups = {path.name for path in CONFIGS.iterdir() if path.is_dir()}
    return groups | {o[0] for o in options(Config)} | {o[1] for o in source_options()}


def options(schema: type, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Every option below a dataclass: name, values, default, what it is."""
    hints = get_type_hints(schema)
    for option in fields(schema):
        name, hint = prefix + option.name, hints[option.name]
        if is_dataclass(hint):
            yield from options(cast(type, hint), f"{name}.")
        else:
            made = option.default_factory
            default = made() if callable(made) else option.default
            yield name, _values(hint), _plain(default), option.metadata.get("help", "")


def source_options() -> Iterator[tuple[str, str, str, str, str]]:
    """The options of data that only one source has: source, name, values, default, what it is."""
    common = {option.name for option in fields(SOURCES["demo"])}
    for source, schema in SOURCES.items():
        for name, values, default, text in options(schema, "data."):
            if name.removeprefix("data.") not in common:
                yield source, name, values, default, text


def _values(hint: Any) -> str:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " | ".join(hint.__members__)
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("None", "null")


def _plain(value: Any) -> str:
    if isinstance(value, Enum):
        return value.name
    return "required" if value == MISSING else "null" if value is None else str(value)


def help_page() -> str:
    """The text of --help: commands, groups, then every option with its values and default."""
    groups = [
        f"  {folder.name:<12}{', '.join(sorted(path.stem for path in folder.glob('*.yaml')))}"
        for folder in sorted(CONFIGS.iterdir())
        if folder.is_dir() and folder.name != "hydra"
    ]
    rows = list(options(Config))
    at = 1 + max(i for i, row in enumerate(rows) if row[0].startswith("data."))
    lines = []
    own = [
        (name, *rest, f"data={source}: {text}") for source, name, *rest, text in source_options()
    ]
    for name, values, default, text in [*rows[:at], *own, *rows[at:]]:
        lines.append(f"  {name} = {default}    [{values}]")
        lines += wrap(text, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(
        [
            "Compare every painting with every other:  python -m src.run [option=value ...]",
            "",
            "  python -m src.run experiment=demo                         no network needed",
            "  python -m src.run data=folder data.images=my/paintings    your own images",
            "  python -m src.run                                         the National Gallery",
            "  python -m src.download                                    its images only",
            "  python -m src.run -m similarity.top_k=5,10,20             a sweep",
            "  python -m src.leaderboard                                 its runs compared",
            "  python -m src.dashboard                                   all runs in TensorBoard",
            "",
            "Groups (group=choice), files in configs/:",
            *groups,
            "",
            "Options (name = default    [values]):",
            *lines,
            "",
            "--cfg job prints the options in force; --hydra-help lists Hydra's own flags.",
        ]
    )
