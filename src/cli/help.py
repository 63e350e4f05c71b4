"""The text of --help, generated from the dataclasses of src.config and the files in configs/."""

from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from textwrap import wrap
from typing import Any, NamedTuple, cast, get_type_hints

from omegaconf import MISSING

from src.config import Config
from src.config.names import CONFIGS
from src.config.sources import SOURCES
from src.config.validation import bounds_text

PAGE = """\
Usage:  python -m src.${{hydra.job.name}} [option=value ...]

  python -m src.run experiment=demo                         no network needed
  python -m src.run data=folder data.images=my/paintings    your own images
  python -m src.run                                         the National Gallery of Art
  python -m src.run data=iiif data.manifest=<address>       any museum's IIIF manifests
  python -m src.download                                    download its images only
  python -m src.run -m similarity.top_k=5,10,20             a sweep: one run per value
  python -m src.layers backbone=swin_t                      the layers of a network
  python -m src.leaderboard                                 compare the runs of a sweep
  python -m src.dashboard                                   all runs in TensorBoard

Groups (group=choice), files in configs/:
{groups}

Options (name = default    [allowed values]):
{options}

--cfg job prints the options of a command; --hydra-help lists Hydra's own flags."""


class Option(NamedTuple):
    """An option as --help prints it."""

    name: str  # similarity.top_k
    default: str
    values: str  # type or choices, and bounds: "int, at least 1"
    text: str
    source: str = ""  # of images, if only one source has this option


def options(schema: type, prefix: str = "") -> Iterator[Option]:
    """Yield every option of a dataclass and of the dataclasses in it, in order of definition."""
    hints = get_type_hints(schema)
    for field in fields(schema):
        name, hint = prefix + field.name, hints[field.name]
        if is_dataclass(hint):
            yield from options(cast(type, hint), f"{name}.")
        else:
            factory = field.default_factory
            default = factory() if callable(factory) else field.default
            text = field.metadata.get("help", "")
            yield Option(name, _format_default(default), _format_values(hint, field), text)


def source_options() -> Iterator[Option]:
    """Yield the options of data that only one source of images has."""
    common = {field.name for field in fields(SOURCES["demo"])}
    for source, schema in SOURCES.items():
        for option in options(schema, "data."):
            if option.name.removeprefix("data.") not in common:
                yield option._replace(text=f"data={source}: {option.text}", source=source)


def _format_values(hint: Any, field: "Field[Any]") -> str:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " | ".join(hint.__members__)
    name = hint.__name__ if isinstance(hint, type) else str(hint).replace("None", "null")
    return ", ".join(filter(None, [name, bounds_text(field)]))


def _format_default(value: Any) -> str:
    if isinstance(value, Enum):
        return value.name
    return "required" if value == MISSING else "null" if value is None else str(value)


def help_page() -> str:
    """Return the text of --help: commands, groups, and every option with its default and values."""
    groups = [
        f"  {folder.name:<12}{', '.join(sorted(path.stem for path in folder.glob('*.yaml')))}"
        for folder in sorted(CONFIGS.iterdir())
        if folder.is_dir() and folder.name != "hydra"
    ]
    common = list(options(Config))
    end_of_data = sum(option.name.startswith("data.") for option in common)  # data comes first
    lines = []
    for option in [*common[:end_of_data], *source_options(), *common[end_of_data:]]:
        lines.append(f"  {option.name} = {option.default}    [{option.values}]")
        lines += wrap(option.text, 92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return PAGE.format(groups="\n".join(groups), options="\n".join(lines))
