"""Networks of torchvision and timm, their weights, and the preprocessing that these expect."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import cast

import torch
from torch import nn
from torchvision import models
from torchvision.models import WeightsEnum

from src import config
from src.embedding.color import SIZE, ColorNetwork
from src.embedding.transforms import Preset
from src.errors import UserError, did_you_mean
from src.io.files import sha256

log = logging.getLogger(__name__)

ABOUT_RANDOM = "(backbone.weights=random has learned nothing: it is for trying the program out)"


def pretrained(backbone: config.Backbone) -> WeightsEnum:
    """Return torchvision's entry for the weights; for random ones or a file, the first entry.

    Raises UserError if the model has no such weights.
    """
    entries = list(models.get_model_weights(backbone.name))
    if backbone.weights == "random" or backbone.path:
        return entries[0]
    for entry in entries:
        if entry.name == backbone.weights:
            return entry
    raise UserError(
        f"backbone.weights={backbone.weights}: {backbone.name} has"
        f" {', '.join(entry.name for entry in entries)}; random or the path of a state dict also"
        " work"
    )


def preset_of(backbone: config.Backbone) -> Preset:
    """Return the preprocessing that the weights expect. Raises UserError for an unknown model."""
    if backbone.is_color:
        return Preset(SIZE, SIZE, mean=(0.0,) * 3, std=(1.0,) * 3, interpolation="bilinear")
    return _of_timm(backbone) if backbone.in_timm else _of_torchvision(backbone)


def _of_torchvision(backbone: config.Backbone) -> Preset:
    entry = pretrained(backbone)
    preset = entry.transforms()
    resnet = models.get_model_builder(backbone.name).__module__ == models.resnet.__name__
    return Preset(
        size=preset.crop_size[0],
        crop_from=preset.resize_size[0],
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
        stages=("layer1", "layer2", "layer3", "layer4") if resnet else (),
        weights_file=Path(entry.url).name,
    )


def _of_timm(backbone: config.Backbone) -> Preset:
    import timm

    try:
        preset = timm.models.get_pretrained_cfg(_timm_name(backbone))
    except RuntimeError as error:  # an unknown tag
        raise UserError(f"backbone.name={backbone.name}: {error}") from error
    assert preset is not None  # timm has one for a name without a tag too
    size = preset.input_size[-1]
    return Preset(
        size=size,
        crop_from=round(size / preset.crop_pct),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation,
        weights_file=preset.hf_hub_id or "",
    )


def _timm_name(backbone: config.Backbone) -> str:
    """Return the model's name within timm. Raises UserError if timm has no such model."""
    import timm

    name = backbone.name.removeprefix("timm/")
    if not timm.is_model(name):
        raise UserError(
            f"backbone.name={backbone.name} is not a model of timm {timm.__version__}"
            f"{did_you_mean(name, timm.list_models())}"
        )
    return name


def load_network(backbone: config.Backbone, seed: int) -> nn.Module:
    """Return the network with its weights, on the CPU; seed is that of random weights.

    Raises UserError if weights cannot be downloaded, or if a file does not fit the network.
    """
    if backbone.is_color:
        return ColorNetwork()
    if backbone.weights == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _build(backbone)
    if backbone.path:
        network = _build(backbone)
        _load_file(network, backbone.path, backbone.name)
        return network
    return _timm_pretrained(backbone) if backbone.in_timm else _torchvision_pretrained(backbone)


def _build(backbone: config.Backbone, **options: int) -> nn.Module:
    if backbone.is_color:
        return ColorNetwork()
    if not backbone.in_timm:
        return cast(nn.Module, models.get_model(backbone.name, weights=None, **options))
    import timm

    return timm.create_model(_timm_name(backbone))


def empty_network(backbone: config.Backbone, size: int) -> nn.Module:
    """Return the network for images of size x size on torch's meta device: no numbers, no weights.

    Raises UserError for an unknown model.
    """
    options = {}
    if not (backbone.in_timm or backbone.is_color):
        module = models.get_model_builder(backbone.name).__module__
        # some weights of these take other images than the network without weights
        options = {"image_size": size} if module == models.vision_transformer.__name__ else {}
    with warnings.catch_warnings():  # GoogLeNet speaks of how its weights are drawn
        warnings.simplefilter("ignore", FutureWarning)
        try:
            with torch.device("meta"):
                return _build(backbone, **options)
        except RuntimeError:  # RegNet's constructor computes with tensors
            return _build(backbone, **options).to("meta")


def _load_file(network: nn.Module, path: Path, name: str) -> None:
    """Load a state dict into the network called name. Raises UserError if it does not fit."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        missing, unexpected = network.load_state_dict(state, strict=False)
    except Exception as error:  # the unpickler raises anything for a file of another kind
        reason = " ".join(str(error).split(". ")[0].split())[:200]
        raise UserError(
            f"backbone.weights={path} is not a state dict for {type(network).__name__}: {reason}"
        ) from error
    for problem, keys in (("lacks the keys", missing), ("has unexpected keys", unexpected)):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise UserError(
                f"backbone.weights={path} {problem} {', '.join(keys[:3])}{more}: check"
                f" backbone.name={name}"
            )


def _torchvision_pretrained(backbone: config.Backbone) -> nn.Module:
    """Return the network with torchvision's weights, which are downloaded once.

    The name of the file holds the first 8 or 10 digits of its SHA-256, all that torchvision
    publishes. A file made to have them is no code that runs: nothing but tensors is read from it.
    """
    entry = pretrained(backbone)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    if cached.exists() and not sha256(cached).startswith(cached.stem.split("-")[-1]):
        raise UserError(
            f"{cached} is damaged (its checksum differs): delete it and run the same command again"
        )
    if not cached.exists():
        log.info("embedding: downloading %s to %s", entry.url, cached)
    try:
        with _only_tensors():
            return cast(nn.Module, models.get_model(backbone.name, weights=entry))
    except UnpicklingError as error:
        raise UserError(f"{cached} holds more than weights, which are not loaded") from error
    except (OSError, HTTPException, RuntimeError) as error:
        raise UserError(
            f"backbone.weights={backbone.weights} could not be downloaded ({error}): save"
            f" {entry.url} as {cached}, or set backbone.weights=<path of a state dict>"
            f" {ABOUT_RANDOM}"
        ) from error


@contextmanager
def _only_tensors() -> Iterator[None]:
    """Let torch.load read nothing but tensors in the block, whoever calls it.

    torchvision and some models of timm call it in a way that runs code in the file.
    """
    variables = ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    before = {name: os.environ.pop(name) for name in variables if name in os.environ}
    os.environ[variables[0]] = "1"
    try:
        yield
    finally:
        del os.environ[variables[0]]
        os.environ.update(before)


def _timm_pretrained(backbone: config.Backbone) -> nn.Module:
    """Return the network with timm's weights, which timm downloads once."""
    import timm

    name = _timm_name(backbone)
    log.info("embedding: loading the weights of %s, which are downloaded once", name)
    timm.models.set_pretrained_check_hash()  # where the name of the file holds one
    try:
        with _only_tensors():
            return timm.create_model(name, pretrained=True)
    except (OSError, HTTPException, RuntimeError, UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"backbone.weights=pretrained of {backbone.name} could not be downloaded ({reason}):"
            f" set backbone.weights=<path of a state dict> {ABOUT_RANDOM}"
        ) from error
