"""Names of layers: which ones the options ask for, and where to cut a network for them."""

from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from src.config import Backbone
from src.config.enums import DEPTHS, Join
from src.config.layer_terms import Term, format_terms, parse_terms
from src.embedding.joining import LayerJoin
from src.embedding.layer_patterns import is_pattern, matching_layers
from src.embedding.stages import cached_stages
from src.embedding.transforms import Preset
from src.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

POOLED = "avgpool"  # a ResNet's last layer before its classifier; pooled here, by backbone.pooling


def name_layers(backbone: Backbone, preset: Preset, folder: Path) -> Backbone:
    """Return the options with the names of layers in place of depths and patterns: layer2 for 50%.

    A pattern becomes the layers that match it, in the network's order, each with its weight.
    avgpool becomes the last layer before the classifier in a network without one of that name; in
    a ResNet it stays. Where a depth is named, one pass writes all four, unless layers say other.
    folder is where the names are cached. Raises UserError for a network without four stages, and
    for a pattern that no layer matches.
    """
    terms = parse_terms(backbone.layer)
    asked = {*(term.layer for term in terms), *(backbone.layers or [])}
    patterns = [*filter(is_pattern, asked)]
    if not (patterns or asked & {*DEPTHS}) and (preset.stages or POOLED not in asked):
        return backbone
    names = _names(backbone, preset, patterns, folder)
    if unknown := asked & {*DEPTHS} - names.keys():
        raise UserError(
            f"backbone.layer={min(unknown)}: {backbone.name} has no four stages: name a layer;"
            f" {list_hint(backbone.name)}"
        )
    layers = backbone.layers
    if layers is None and asked & {*DEPTHS}:
        layers = list(DEPTHS)
    layer = format_terms(
        [Term(n, weight) for part, weight in terms for n in names.get(part, [part])]
    )
    named = None if layers is None else [n for part in layers for n in names.get(part, [part])]
    return replace(backbone, layer=layer, layers=named)


def _names(
    backbone: Backbone, preset: Preset, patterns: list[str], folder: Path
) -> dict[str, list[str]]:
    """Return by depth and pattern the layers that it stands for, and by avgpool that in its place.

    A network that has no four stages has no depths. A ResNet is traced for patterns alone.
    """
    if preset.stages and not patterns:
        return {depth: [end] for depth, end in zip(DEPTHS, preset.stages, strict=True)}
    found = cached_stages(backbone, preset.size, folder)
    names = {p: matching_layers(p, found.layers, backbone.name) for p in patterns}
    ends = preset.stages or found.ends
    names |= {depth: [end] for depth, end in zip(DEPTHS, ends, strict=False)}
    return names if preset.stages else names | {POOLED: [found.pooled]}


def list_hint(name: str) -> str:
    """Return a sentence about the command that lists the layers of a network."""
    return f"python -m src.layers backbone.name={name} lists its layers"


def layer_join(backbone: Backbone, preset: Preset) -> LayerJoin:
    """Return the layers of backbone.layer, and how their rows become the embedding.

    Raises UserError if a name is empty or occurs twice.
    """
    terms = [
        Term(_resolve_alias(layer, preset), weight) for layer, weight in parse_terms(backbone.layer)
    ]
    layers = [term.layer for term in terms]
    if len(set(layers)) < len(layers):
        raise UserError(f"backbone.layer={backbone.layer} names a layer twice")
    if "" in layers:
        raise UserError(
            f"backbone.layer={backbone.layer!r} has an empty name: join layers as layer3+layer4"
        )
    return LayerJoin(tuple(terms), backbone.join is Join.whitened)


def written_layers(backbone: Backbone, preset: Preset) -> list[str]:
    """Return the layers that one pass writes, those of backbone.layer included."""
    names = preset.stages if backbone.layers is None else backbone.layers
    layers = [_resolve_alias(layer, preset) for layer in names]
    return list(dict.fromkeys([*layers, *layer_join(backbone, preset).layers]))


def required_layers(backbone: Backbone, preset: Preset) -> set[str]:
    """Return those of written_layers that the options name, without which a pass fails."""
    named = {_resolve_alias(layer, preset) for layer in backbone.layers or []}
    return named | {*layer_join(backbone, preset).layers}


def other_layers(
    backbone: Backbone, preset: Preset, values: Iterable[str], folder: Path
) -> list[str]:
    """Return the layers of other values of backbone.layer, which other jobs of a sweep have.

    folder is where names are cached. What is wrong with a value is told by its own job.
    """
    found: list[str] = []
    for value in values:
        with suppress(UserError):
            other = name_layers(replace(backbone, layer=value), preset, folder)
            found += layer_join(other, preset).layers
    return found


def _resolve_alias(layer: str, preset: Preset) -> str:
    return preset.stages[-1] if layer == POOLED and preset.stages else layer


def cut(
    network: "nn.Module", layers: list[str], required: Container[str], name: str, size: int
) -> "tuple[nn.Module, dict[str, str]]":
    """Cut a network, called name in the options, after those of layers that it has.

    Return a module that returns outputs by node, and the last node of each layer. Raises UserError
    if the network lacks one that is required; size is that of its images.
    """
    from torchvision.models import feature_extraction  # takes seconds to import

    train_names, eval_names = feature_extraction.get_graph_node_names(
        network, suppress_diff_warning=True
    )
    found = [layer for layer in layers if layer and _nodes_in(layer, eval_names)]
    for layer in layers:
        if layer in required and layer not in found:
            raise UserError(
                f"backbone.layer or layers: {layer} is not a node of {type(network).__name__}"
                f"{_usable(layer, eval_names, network, size)}; {list_hint(name)}"
            )
    nodes = {layer: _nodes_in(layer, eval_names)[-1] for layer in found}
    # torchvision returns a node only under the first name that maps to it
    first = {node: layer for layer, node in reversed(nodes.items())}
    trunk = feature_extraction.create_feature_extractor(
        network,
        train_return_nodes={
            _nodes_in(layer, train_names)[-1]: node for node, layer in first.items()
        },
        eval_return_nodes={node: node for node in first},
        suppress_diff_warning=True,
    )
    return trunk, nodes


def _nodes_in(layer: str, names: list[str]) -> list[str]:
    """Return those of the node names that are in layer."""
    return [name for name in names if f"{name}.".startswith(f"{layer}.")]


def _usable(layer: str, names: list[str], network: "nn.Module", size: int) -> str:
    """Return what to name instead of an unknown layer. The network has no weights after it."""
    from src.embedding.nodes import choose_stages, distinct_name, trunk

    layers = {".".join(n.split(".")[: i + 1]) for n in names for i in range(n.count(".") + 1)}
    near = get_close_matches(layer, sorted(layers), cutoff=0.75)
    hint = did_you_mean(layer, near)
    ends = choose_stages(trunk(network.to("meta"), size), size)
    if ends:
        hint += f"; its stages end with {', '.join(distinct_name(end, ends) for end in ends)}"
    return hint
