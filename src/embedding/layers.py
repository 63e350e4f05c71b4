"""The names of layers: which are asked for, and where a network is cut for them."""

from typing import TYPE_CHECKING

from src.config import Backbone
from src.embedding.transforms import Preset
from src.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torch import nn


def joined_layers(backbone: Backbone, preset: Preset) -> list[str]:
    """The layers whose rows, joined, are the embedding; mostly one. Raises UserError."""
    parts = [_known_as(part, preset) for part in backbone.layer.split("+")]
    if len(set(parts)) < len(parts):
        raise UserError(f"backbone.layer={backbone.layer} names a layer twice")
    if "" in parts:
        raise UserError(f"backbone.layer={backbone.layer!r} names no layer, alone or beside a +")
    return parts


def written_layers(backbone: Backbone, preset: Preset) -> list[str]:
    """The layers that one pass writes, those of backbone.layer among them."""
    every = preset.stages if backbone.layers is None else backbone.layers
    asked = [_known_as(layer, preset) for layer in every]
    return list(dict.fromkeys([*asked, *joined_layers(backbone, preset)]))


def _known_as(layer: str, preset: Preset) -> str:
    # avgpool is a ResNet's last layer before its classifier; pooled here, by backbone.pooling
    return preset.stages[-1] if layer == "avgpool" and preset.stages else layer


def cut(network: "nn.Module", layers: list[str]) -> "tuple[nn.Module, dict[str, str]]":
    """The network up to these layers, giving a dict; and the node of it that each layer ends at."""
    from torchvision.models import feature_extraction  # seconds: a cached run goes without

    training, evaluating = feature_extraction.get_graph_node_names(
        network, suppress_diff_warning=True
    )
    nodes = {layer: _last(evaluating, layer, network) for layer in layers}
    # torchvision gives a node to the first name alone that ends at it
    first = {node: layer for layer, node in reversed(nodes.items())}
    trunk = feature_extraction.create_feature_extractor(
        network,
        train_return_nodes={_last(training, a, network): node for node, a in first.items()},
        eval_return_nodes={node: node for node in first},
        suppress_diff_warning=True,
    )
    return trunk, nodes


def _last(names: list[str], layer: str, network: "nn.Module") -> str:
    """The last node of a layer. Raises UserError when the network has no such layer."""
    own = [name for name in names if f"{name}.".startswith(f"{layer}.")]
    if own and layer:
        return own[-1]
    known = {".".join(n.split(".")[: i + 1]) for n in names for i in range(n.count(".") + 1)}
    shallow = [name for name in names if name.count(".") < 2][-5:]
    hint = did_you_mean(layer, known) or f"; its last ones: {', '.join(shallow)}"
    raise UserError(
        f"backbone.layer or layers: {layer} is not a node of {type(network).__name__}{hint}"
    )
