"""The options of a finished run, read back from what Hydra has stored with it."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.config.backbone import Backbone
from src.config.data import Data
from src.config.schema import Config, Trainer
from src.config.sources import SOURCES
from src.errors import UserError

T = TypeVar("T", Backbone, Data, Trainer)
OF_SOURCES = {field.name for source in SOURCES.values() for field in fields(source)}


def stored_config(stored: Mapping[str, Any], path: Path) -> Config:
    """Return the options on which the embedding of a run depends, as typed options.

    These are the groups data (without where images and judgements came from, which may be gone),
    backbone and trainer, and the seed; the others have their defaults, and so have options that an
    older run lacks. `path` is the file, for messages. Raises UserError for an option that is
    invalid, or that this version does not know.
    """
    known = {field.name for field in fields(Data)} - {"judgements"}
    data = {
        name: value
        for name, value in _mapping(stored, "data", path).items()
        if name in known or name not in OF_SOURCES
    }
    return Config(
        data=_group(Data, data, "data", path),
        backbone=_group(Backbone, _mapping(stored, "backbone", path), "backbone", path),
        trainer=_group(Trainer, _mapping(stored, "trainer", path), "trainer", path),
        seed=_seed(stored, path),
    )


def _mapping(stored: Mapping[str, Any], group: str, path: Path) -> dict[str, Any]:
    """Return the stored options of a group, {} if there are none."""
    values = stored.get(group) or {}
    if not isinstance(values, dict):
        raise UserError(f"{path}: {group} is no group of options")
    return values


def _seed(stored: Mapping[str, Any], path: Path) -> int:
    seed = stored.get("seed", Config.seed)
    if type(seed) is not int:
        raise UserError(f"{path}: seed must be a number, got {seed}")
    return seed


def _group(kind: type[T], values: dict[str, Any], group: str, path: Path) -> T:
    """Return a group's options. Raises UserError, which names the first that is wrong."""
    names = {field.name for field in fields(kind)}
    for name in values.keys() - names:
        raise UserError(
            f"{path}: this version has no option {group}.{name}, so it cannot tell how the run"
            " embedded its images: use the version that made the run"
        )
    schema = OmegaConf.structured(kind)
    for name, value in values.items():
        try:
            given = OmegaConf.create({name: value})
            if OmegaConf.is_interpolation(given, name):  # it could name a variable of this machine
                raise UserError(f"{path}: {group}.{name}={value} refers to something else")
            schema = cast(DictConfig, OmegaConf.merge(schema, given))
        except OmegaConfBaseException as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}: {group}.{name}={value} is invalid: {reason}") from error
    try:
        return cast(T, OmegaConf.to_object(schema))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
