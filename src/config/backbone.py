"""The options of group backbone: the network and its features."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from src.config.enums import DEPTHS, Join, Pooling
from src.config.layer_terms import parse_terms
from src.config.validation import check_bounds, expand_home, model_names, option
from src.errors import UserError, did_you_mean

COLOR = "color"  # of backbone.name: the baseline without weights
VECTORS = "vectors"  # of backbone.name: no network, but the rows of data.features
# What has no weights, and what it is
WITHOUT_WEIGHTS = {COLOR: "a histogram of colors", VECTORS: "a file of vectors"}


@dataclass
class Backbone:
    """The network, and which of its layers become features."""

    name: str = option(
        "resnet50",
        "a torchvision classification model, timm/<model> (needs the optional dependency timm),"
        " color: a histogram of colors, without weights (backbone=color), or vectors: the rows of"
        " data=features, which chooses it",
    )
    weights: str = option(
        "IMAGENET1K_V2",
        "IMAGENET1K_V1, IMAGENET1K_V2, random (see seed), the path of a state dict, pretrained"
        " (timm only), or none (color and vectors)",
    )
    layer: str = option(
        "avgpool",
        "layer whose output becomes the features: 25%, 50%, 75% or 100% of the depth of any model"
        " (a ResNet's layer1 to layer4), avgpool (the last before the classifier) or any node,"
        " which python -m src.layers lists; + joins layers, 75%+100%, and so do patterns of their"
        " names, layer* or features.1?; *number is a layer's weight among the cosines of all, which"
        " else is 1: layer2*0.5+layer4",
    )
    layers: list[str] | None = option(
        None,
        "layers to store in the same forward pass, for later runs, besides those that the jobs of a"
        " sweep name; null = layer1 to layer4 of a ResNet; the four depths if backbone.layer is"
        " one; else only backbone.layer",
    )
    pooling: Pooling = option(
        Pooling.avg,
        "reduces a layer's output to one vector per image: average, maximum or generalized mean"
        " over its spatial axes or tokens; token = the first (class) token; patches = the mean"
        " of the others, without registers; meanstd = means and standard deviations of the channels"
        " (of patches, where there are tokens), twice as many numbers, which tell a style better",
    )
    poolings: list[str] | None = option(
        None,
        "poolings to store in the same forward pass, for later runs, besides those that the jobs of"
        " a sweep name; null = only backbone.pooling",
    )
    join: Join = option(
        Join.rows,
        "how the rows of joined layers become one: rows = each of unit length, side by side;"
        " whitened = each layer is whitened before (power 0.5, fitted on the gallery), also one"
        " alone, so that no layer's common direction hides the others",
    )
    gem_p: float = option(3.0, "exponent of gem pooling", low=1, high=100)

    def __post_init__(self) -> None:
        check_bounds(self, "backbone")
        self.weights = expand_home(self.weights)
        if self.is_vectors:
            self._check_unused()
        if self.in_timm:
            if find_spec("timm") is None:
                raise UserError(
                    f"backbone.name={self.name} needs the optional dependency timm:"
                    " pip install -e .[timm]"
                )
        elif self.name not in (names := [*WITHOUT_WEIGHTS, *model_names()]):
            raise UserError(
                f"backbone.name={self.name} is not a torchvision classification model"
                f"{did_you_mean(self.name, names)}"
            )
        self._check_weights()
        for name in self.poolings or []:
            if name not in Pooling.__members__:
                raise UserError(
                    f"backbone.poolings: {name} is not one of {', '.join(Pooling.__members__)}"
                )
        asked = [term.layer for term in parse_terms(self.layer)]
        for part in [*asked, *(self.layers or [])]:
            if part.endswith("%") and part not in DEPTHS:
                raise UserError(
                    f"backbone.layer or layers: {part} is not one of the depths {', '.join(DEPTHS)}"
                )

    def _check_unused(self) -> None:
        """Raise UserError for an option of networks that is set although there is none."""
        for name, value in vars(self).items():
            usual = VECTORS if name == "layer" else getattr(Backbone, name)
            if name not in ("name", "weights") and value != usual:
                raise UserError(
                    f"backbone.{name}={getattr(value, 'name', value)} has no effect with"
                    " data=features, whose rows are compared as they are: leave it out"
                )

    def _check_weights(self) -> None:
        """Raise UserError for weights that the network cannot have."""
        if what := WITHOUT_WEIGHTS.get(self.name):
            if self.weights != "none":
                raise UserError(
                    f"backbone.weights={self.weights}: {what} has no weights: use"
                    f" backbone={self.name}"
                )
            return
        pattern = "pretrained" if self.in_timm else r"IMAGENET1K_\w+"
        if not re.fullmatch(f"random|{pattern}", self.weights) and not self.path:
            names = "pretrained" if self.in_timm else "IMAGENET1K_V1, IMAGENET1K_V2"
            raise UserError(
                f"backbone.weights={self.weights} is neither {names}, random nor an existing file"
            )

    @property
    def is_color(self) -> bool:
        """Return whether the features are a histogram of colors instead of a network's."""
        return self.name == COLOR

    @property
    def is_vectors(self) -> bool:
        """Return whether the features are the user's own, and no network is there."""
        return self.name == VECTORS

    @property
    def in_timm(self) -> bool:
        """Return whether the model is from timm instead of torchvision."""
        return self.name.startswith("timm/")

    @property
    def path(self) -> Path | None:
        """Return the path of the state dict, or None unless weights name a file."""
        return Path(self.weights) if Path(self.weights).is_file() else None
