"""Names of layers: which ones the options ask for, and where to cut a network for them."""

from typing import TYPE_CHECKING

from src.config import Backbone
from src.embedding.transforms import Preset
from src.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torch import nn


def joined_layers(backbone: Backbone, preset: Preset) -> list[str]:
    """Return the layers of backbone.layer, whose joined rows are the embedding; usually one.

    Raises UserError if a name is empty or occurs twice.
    """
    layers = [_resolve_alias(layer, preset) for layer in backbone.layer.split("+")]
    if len(set(layers)) < len(layers):
        raise UserError(f"backbone.layer={backbone.layer} names a layer twice")
    if "" in layers:
        raise UserError(
            f"backbone.layer={backbone.layer!r} has an empty name: join layers as layer3+layer4"
        )
    return layers


def written_layers(backbone: Backbone, preset: Preset) -> list[str]:
    """Return the layers that one pass writes, those of backbone.layer included."""
    names = preset.stages if backbone.layers is None else backbone.layers
    layers = [_resolve_alias(layer, preset) for layer in names]
    return list(dict.fromkeys([*layers, *joined_layers(backbone, preset)]))


def _resolve_alias(layer: str, preset: Preset) -> str:
    # avgpool is a ResNet's last layer before its classifier; pooled here, by backbone.pooling
    return preset.stages[-1] if layer == "avgpool" and preset.stages else layer


def cut(network: "nn.Module", layers: list[str]) -> "tuple[nn.Module, dict[str, str]]":
    """Cut network after layers.

    Return a module that returns outputs by node, and the last node of each layer. Raises UserError
    if the network has no such layer.
    """
    from torchvision.models import feature_extraction  # takes seconds to import

    train_names, eval_names = feature_extraction.get_graph_node_names(
        network, suppress_diff_warning=True
    )
    nodes = {layer: _last_node(eval_names, layer, network) for layer in layers}
    # torchvision returns a node only under the first name that maps to it
    first = {node: layer for layer, node in reversed(nodes.items())}
    trunk = feature_extraction.create_feature_extractor(
        network,
        train_return_nodes={
            _last_node(train_names, layer, network): node for node, layer in first.items()
        },
        eval_return_nodes={node: node for node in first},
        suppress_diff_warning=True,
    )
    return trunk, nodes


def _last_node(names: list[str], layer: str, network: "nn.Module") -> str:
    """Return the last of the node names in layer. Raises UserError if there is none."""
    nodes = [name for name in names if f"{name}.".startswith(f"{layer}.")]
    if nodes and layer:
        return nodes[-1]
    layers = {".".join(n.split(".")[: i + 1]) for n in names for i in range(n.count(".") + 1)}
    shallow = [name for name in names if name.count(".") < 2][-5:]
    hint = did_you_mean(layer, layers) or f"; the last nodes are {', '.join(shallow)}"
    raise UserError(
        f"backbone.layer or layers: {layer} is not a node of {type(network).__name__}{hint}"
    )
