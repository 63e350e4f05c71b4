"""The nodes of a network that may become features, and the four of them that end its stages.

A network is traced and run on torch's meta device, which has shapes and no numbers: nothing is
computed, and no weights are needed.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

from torch import Tensor, nn

from src.config.enums import Pooling
from src.embedding import tracing
from src.embedding.pooling import pooling_axes

STAGES = 4
# Steps without weights that end no stage: they only move, pick or pool what the stage computes
MOVES = {"contiguous", "dropout", "flatten", "getitem", "identity", "permute", "reshape", "view"}
POOLS = {"adaptiveavgpool2d", "avgpool2d", "maxpool2d", "avg_pool2d", "max_pool2d"}


@dataclass(frozen=True)
class Node:
    """A node that gives a row per image, and that all data of the network pass through."""

    names: tuple[str, ...]  # of the modules that end with it, outermost first, and its own
    width: int  # numbers in a row
    grid: tuple[int, ...]  # rows and columns of positions, or the number of tokens, that are pooled
    own_weights: int  # matrices and kernels
    weights: int  # its own and those of all steps before it
    is_move: bool  # a move or a pool

    @property
    def name(self) -> str:
        """Return the shortest name."""
        return self.names[0]

    @property
    def output(self) -> str:
        """Return the shape of the output for one image as text."""
        if len(self.grid) == 1:
            return f"{self.width} x {self.grid[0]} tokens"
        return " x ".join(map(str, (self.width, *self.grid)))

    @property
    def side(self) -> float:
        """Return the root of the number of positions or tokens, 1 for an output without any."""
        return math.sqrt(math.prod(self.grid))


def trunk(network: nn.Module, size: int) -> list[Node]:
    """Return the nodes of a network on the meta device, in order, for images of size x size.

    What runs beside a residual connection is left out. Raises UserError if the network cannot be
    traced.
    """
    traced, names = tracing.trace(network)
    steps = [step for step in traced.graph.nodes if step.op != "output"]
    values, larger = tracing.run(traced, size), tracing.run_larger(traced, size + 64)
    passed = tracing.bottlenecks(steps, values)
    layers = tracing.layer_names(list(names.values()))
    nodes, weights = [], 0
    for step in steps:
        own = tracing.count_weights(traced, step)
        weights += own
        if step in passed and step in names and (axes := _axes(values[step], larger.get(step))):
            shape, ends = values[step].shape, layers[names[step]]
            grid = tuple(shape[axis] for axis in axes[1:])
            width = math.prod(shape) // math.prod((2, *grid))
            excluded = POOLS | MOVES if len(ends) == 1 else POOLS  # a block may end with a move
            is_move = tracing.kind(traced, step) in excluded
            nodes.append(Node(ends, width, grid, own, weights, is_move))
    return nodes


def _axes(value: Tensor, larger: Tensor | None) -> tuple[int, ...]:
    """Return the axis of the images and those to pool over of an output for two images.

    () for an output that is no row per image, or one of windows or of attention heads.
    """
    shape = tuple(value.shape)
    if len(shape) not in (2, 3, 4) or shape[0] != 2:
        return ()
    grown = None if larger is None else tuple(larger.shape)
    axes = pooling_axes("", shape, grown, Pooling.avg)
    is_square = len({shape[axis] for axis in axes}) < 2
    return (0, *axes) if is_square and len(axes) == len(shape) - 2 else ()


def choose_stages(nodes: list[Node], size: int) -> list[Node]:
    """Return the four nodes of a trunk that end its stages, for images of size x size.

    A stage computes at one resolution; of more than four, those before the last four are left out.
    A network of fewer, such as a vision transformer, is cut at the quarters of its weights. Returns
    [] for a network of fewer than four places to cut at, or without weights.
    """
    features = [node for node in _before_classifier(nodes) if not node.is_move]
    stages, coarsest = defaultdict(list), 0
    for node in features:
        level = round(math.log2(size / node.side))
        coarsest = max(level, coarsest)
        if level == coarsest:  # a finer one after it is that of attention heads
            stages[level].append(node)
    ends, start = [], 0
    for stage in stages.values():
        if stage[-1].weights > start:  # else it only pools what the stage before it computes
            ends.append(_end(stage, start))
        start = stage[-1].weights
    if len(features) < STAGES or not features[-1].weights:
        return []
    return ends[-STAGES:] if len(ends) >= STAGES else _quarters(features)


def _before_classifier(nodes: list[Node]) -> list[Node]:
    """Return the nodes with a grid, without a convolution to classes at the end."""
    total = max((node.weights for node in nodes), default=0)
    is_class_layer = any(node.own_weights and node.weights == total for node in nodes)
    end = total if is_class_layer else total + 1
    return [node for node in nodes if node.side > 1 and node.weights < end]


def _end(stage: list[Node], start: int) -> Node:
    """Return the last of the outermost nodes in the second half of a stage's weights.

    start counts the weights before the stage. An outermost node, which has the fewest dots, ends a
    block and not a part of one; a stem before the blocks is in the first half.
    """
    half = (start + stage[-1].weights) / 2
    late = [node for node in reversed(stage) if node.weights > half]
    return min(late, key=_dots)


def _dots(node: Node) -> int:
    return node.name.count(".")


def _quarters(features: list[Node]) -> list[Node]:
    """Return the outermost nodes nearest to the quarters of the weights, the end as the last."""
    end = _end([node for node in features if node.weights == features[-1].weights], 0)
    chosen: list[Node] = []
    for quarter in range(1, STAGES):
        rest = features[: features.index(end) - (STAGES - 1 - quarter)]
        rest = rest[rest.index(chosen[-1]) + 1 :] if chosen else rest
        distance = {node: abs(node.weights / end.weights - quarter / STAGES) for node in rest}
        near = [node for node in rest if distance[node] <= 1 / (2 * STAGES)] or rest
        dots = min(map(_dots, near))
        blocks = [node for node in reversed(near) if _dots(node) == dots]
        chosen.append(min(blocks, key=lambda node: distance[node]))
    return [*chosen, end]


def distinct_name(node: Node, nodes: list[Node]) -> str:
    """Return the shortest name of a node that is not also that of a module around another one."""
    others = [other.names[-1] for other in nodes if other is not node]
    outer = (n for n in node.names if not any(other.startswith(f"{n}.") for other in others))
    return next(outer, node.names[-1])


def listed_name(node: Node, ends: list[Node]) -> str:
    """Return the name under which a node is listed; ends are those of the network's stages."""
    return distinct_name(node, ends) if node in ends else node.name
