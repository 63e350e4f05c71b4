"""The names of layers: which are asked for, and where a network is cut for them."""

from torch import nn
from torchvision.models import feature_extraction

from src import config
from src.checks import UserError, near
from src.network import is_resnet


def joined_layers(backbone: config.Backbone) -> list[str]:
    """The layers whose rows, joined, are the embedding; mostly one. Raises UserError."""
    parts = [_known_as(part, backbone) for part in backbone.layer.split("+")]
    if len(set(parts)) < len(parts):
        raise UserError(f"backbone.layer={backbone.layer} names a layer twice")
    if "" in parts:
        raise UserError(f"backbone.layer={backbone.layer!r} names no layer, alone or beside a +")
    return parts


def written_layers(backbone: config.Backbone) -> list[str]:
    """The layers that one pass writes, those of backbone.layer among them."""
    every = backbone.layers
    if every is None:
        every = ["layer1", "layer2", "layer3", "layer4"] if is_resnet(backbone) else []
    return list(
        dict.fromkeys([*(_known_as(layer, backbone) for layer in every), *joined_layers(backbone)])
    )


def _known_as(layer: str, backbone: config.Backbone) -> str:
    # avgpool is a ResNet's last layer before its classifier; pooled here, by backbone.pooling
    return "layer4" if layer == "avgpool" and is_resnet(backbone) else layer


def cut(network: nn.Module, layers: list[str]) -> tuple[nn.Module, dict[str, str]]:
    """The network up to these layers, giving a dict; and the node of it that each layer ends at."""
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


def _last(names: list[str], layer: str, network: nn.Module) -> str:
    """The last node of a layer. Raises UserError when the network has no such layer."""
    own = [name for name in names if f"{name}.".startswith(f"{layer}.")]
    if own and layer:
        return own[-1]
    known = {".".join(n.split(".")[: i + 1]) for n in names for i in range(n.count(".") + 1)}
    shallow = [name for name in names if name.count(".") < 2][-5:]
    hint = near(layer, known) or f"; its last ones: {', '.join(shallow)}"
    raise UserError(
        f"backbone.layer or layers: {layer} is not a node of {type(network).__name__}{hint}"
    )
