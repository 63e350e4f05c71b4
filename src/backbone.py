"""The network: its weights, the layer whose output is the embedding, and pooling."""

import hashlib
from contextlib import redirect_stderr
from http.client import HTTPException
from io import StringIO
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import WeightsEnum, feature_extraction

from src import config
from src.checks import UserError, near
from src.config import Data, Pooling
from src.data import Batch, Transform


class Backbone(L.LightningModule):
    """A network cut at one layer, its output pooled to one row an image.

    Raises UserError when the layer gives no such rows.
    """

    def __init__(self, extractor: nn.Module, pooling: Pooling, gem_p: float, size: int):
        super().__init__()
        self.extractor, self.pooling, self.gem_p = extractor.eval(), pooling, gem_p
        self.axes, self.dim = self._probe(size)

    @torch.inference_mode()
    def _probe(self, size: int) -> tuple[tuple[int, ...], int]:
        """The axes to pool over and the width d of a row, found by trying."""
        output = self._output(torch.zeros(2, 3, size, size))
        shape = tuple(output.shape) if isinstance(output, Tensor) else ()
        if len(shape) not in (2, 3, 4) or shape[0] != 2:
            raise UserError(
                "backbone.layer gives no row an image, but"
                f" {shape or type(output).__name__} for two: choose another"
            )
        if self.pooling is Pooling.token and len(shape) != 3:
            raise UserError(
                f"backbone.pooling=token needs a layer of tokens (b, tokens, d), this one gives"
                f" {shape}: choose avg, max or gem"
            )
        axes = (1,) if len(shape) == 3 else tuple(range(2, len(shape)))
        if len(shape) == 4:
            axes = self._spatial(shape, size) or axes
        width = [side for axis, side in enumerate(shape) if axis > 0 and axis not in axes]
        return axes, int(torch.tensor(width).prod())

    def _spatial(self, shape: tuple[int, ...], size: int) -> tuple[int, ...]:
        """The axes that grow with the input: Swin's features are (b, h, w, c)."""
        try:
            with redirect_stderr(StringIO()):  # torch.fx prints a traceback beside raising
                larger = self._output(torch.zeros(2, 3, size + 64, size + 64)).shape
        except (AssertionError, RuntimeError, ValueError):  # networks of one input size alone
            return ()
        return tuple(axis for axis in (1, 2, 3) if shape[axis] != larger[axis])

    def _output(self, images: Tensor) -> Any:
        return self.extractor(images)["output"]

    def forward(self, images: Tensor) -> Tensor:
        """(b, 3, size, size) -> (b, d) float32."""
        return pool(self._output(images), self.pooling, self.axes, self.gem_p)

    def predict_step(self, batch: Batch) -> Tensor:
        """The rows of a batch, none where no image of it could be read."""
        return self(batch.images) if batch.rows else torch.empty(0, self.dim)


def pool(output: Tensor, pooling: Pooling, axes: tuple[int, ...], gem_p: float) -> Tensor:
    """(b, ...) -> (b, d) over axes, in float32 whatever the network's precision.

    gem is the generalized mean of Radenovic et al., 2018: (mean x^p)^(1/p) of x clamped to 1e-6.
    """
    output = output.float()
    if not axes:
        return output
    match pooling:
        case Pooling.token:
            return output[:, 0]
        case Pooling.max:
            return output.amax(axes).flatten(1)
        case Pooling.gem:
            return output.clamp(min=1e-6).pow(gem_p).mean(axes).pow(1 / gem_p).flatten(1)
        case _:
            return output.mean(axes).flatten(1)


def pretrained(backbone: config.Backbone) -> WeightsEnum:
    """torchvision's entry for the weights; for random ones or a file, the model's first entry.

    Raises UserError when the model has no such weights.
    """
    entries = list(models.get_model_weights(backbone.name))
    if backbone.weights == "random" or backbone.path:
        return entries[0]
    for entry in entries:
        if entry.name == backbone.weights:
            return entry
    raise UserError(
        f"backbone.weights={backbone.weights}: {backbone.name} has"
        f" {', '.join(entry.name for entry in entries)}; random or a path work too"
    )


def transform(backbone: config.Backbone, data: Data) -> Transform:
    """What the weights expect of an image: size, mean, standard deviation, interpolation."""
    preset = pretrained(backbone).transforms()
    return Transform(
        resize=data.resize,
        size=preset.crop_size[0],
        crop_from=preset.resize_size[0],
        longer_side=data.longer_side,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )


def load_backbone(backbone: config.Backbone, size: int, seed: int) -> Backbone:
    """The network, ready to embed images of size x size pixels. Raises UserError."""
    network = _network(backbone, seed)
    node = _node(network, backbone.layer)
    extractor = feature_extraction.create_feature_extractor(
        network, {node: "output"}, suppress_diff_warning=True
    )
    return Backbone(extractor, backbone.pooling, backbone.gem_p, size)


def _node(network: nn.Module, layer: str) -> str:
    # A ResNet's last layer before its classifier; pooled here, so that backbone.pooling applies.
    node = "layer4" if layer == "avgpool" and isinstance(network, models.ResNet) else layer
    names = feature_extraction.get_graph_node_names(network, suppress_diff_warning=True)[1]
    known = {".".join(n.split(".")[: i + 1]) for n in names for i in range(n.count(".") + 1)}
    if node not in known:
        last = [name for name in names if name.count(".") < 2][-5:]
        hint = near(layer, known) or f"; its last ones: {', '.join(last)}"
        raise UserError(f"backbone.layer={layer} is not a node of {type(network).__name__}{hint}")
    return node


def _network(backbone: config.Backbone, seed: int) -> nn.Module:
    if backbone.weights == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _build(backbone.name, None)
    if backbone.path:
        network = _build(backbone.name, None)
        _load_file(network, backbone.path)
        return network
    return _load_pretrained(backbone)


def _build(name: str, weights: WeightsEnum | None) -> nn.Module:
    return cast(nn.Module, models.get_model(name, weights=weights))


def _load_file(network: nn.Module, path: Path) -> None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        missing, unexpected = network.load_state_dict(state, strict=False)
    except Exception as error:  # a file that is no checkpoint makes the unpickler raise anything
        first = " ".join(str(error).split(". ")[0].split())[:200]
        raise UserError(
            f"backbone.weights={path} is no state dict for {type(network).__name__}: {first}"
        ) from error
    for what, keys in (("lacks", missing), ("has, and the model has not,", unexpected)):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise UserError(
                f"backbone.weights={path} {what} {', '.join(keys[:3])}{more}: is"
                " backbone.name right?"
            )


def _load_pretrained(backbone: config.Backbone) -> nn.Module:
    """torchvision's own weights, fetched once; the checksum stands in the file's name."""
    entry = pretrained(backbone)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    if cached.exists() and not sha256(cached).startswith(cached.stem.split("-")[-1]):
        raise UserError(f"{cached} is damaged (its checksum is another): delete it and start again")
    try:
        return _build(backbone.name, entry)
    except (OSError, HTTPException, RuntimeError) as error:
        raise UserError(
            f"backbone.weights={backbone.weights} could not be fetched ({error}): put"
            f" {cached.name} from {entry.url} at {cached}, or set backbone.weights=<path of a state"
            " dict>, or backbone.weights=random"
        ) from error


def weights_id(backbone: config.Backbone, seed: int) -> str:
    """What tells these weights from any others: a name, a seed or a checksum."""
    if backbone.weights == "random":
        return f"random (seed {seed})"
    if backbone.path:
        return f"{backbone.path.name} (sha256 {sha256(backbone.path)[:16]})"
    return backbone.weights


def sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
