"""A network as a graph of named steps, which runs on torch's meta device: shapes, no numbers."""

from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import torch
from torch import Tensor, fx, nn
from torchvision.models import feature_extraction

from src.errors import UserError

Values = dict[fx.Node, Any]


def trace(network: nn.Module) -> tuple[fx.GraphModule, dict[fx.Node, str]]:
    """Return the graph of a network, and the names of its nodes in order.

    Raises UserError if the network cannot be traced.
    """
    network.eval()
    try:
        with redirect_stderr(StringIO()):
            train, names = feature_extraction.get_graph_node_names(
                network, suppress_diff_warning=True
            )
            traced = feature_extraction.create_feature_extractor(
                network,
                train_return_nodes={train[-1]: train[-1]},
                eval_return_nodes={name: name for name in names},
                suppress_diff_warning=True,
            ).eval()
    except (fx.proxy.TraceError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split(". ")[0].split())[:120]
        raise UserError(
            f"backbone.name: {type(network).__name__} cannot be cut at a layer ({reason}): choose"
            " another network"
        ) from error
    (output,) = (step for step in traced.graph.nodes if step.op == "output")
    return traced, {step: name for name, step in output.args[0].items()}


def run(traced: fx.GraphModule, size: int) -> Values:
    """Return the values of all steps for two images of size x size, as meta tensors."""
    recorder = _Recorder(traced)
    with torch.inference_mode():
        recorder.run(torch.empty(2, 3, size, size, device="meta"))
    return recorder.values


def run_larger(traced: fx.GraphModule, size: int) -> Values:
    """Return the values for larger images, {} for a network that accepts one input size only."""
    try:
        with redirect_stderr(StringIO()):  # torch.fx prints a traceback as well as raising
            return run(traced, size)
    except (AssertionError, RuntimeError, ValueError):
        return {}


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps the value of every step."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced, garbage_collect_values=False)
        self.values: Values = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run a node, and keep its value."""
        self.values[n] = super().run_node(n)
        return self.values[n]


def bottlenecks(steps: list[fx.Node], values: Values) -> set[fx.Node]:
    """Return the steps that all data pass through: no later step reads what is before them.

    steps are those of a graph in order. What depends on the images only by their shape, such as a
    class token that is repeated for each, is no data.
    """
    carries: set[fx.Node] = set()
    for step in steps:
        inputs = [source for source in step.all_input_nodes if source in carries]
        if (inputs or step.op == "placeholder") and _holds_tensor(values[step]):
            carries.add(step)
    place = {step: number for number, step in enumerate(steps)}
    found, last_use = set(), 0
    for step in steps[1:]:
        if step not in carries:
            continue
        if last_use <= place[step] and isinstance(values[step], Tensor):
            found.add(step)
        uses = [place[user] for user in step.users if user in carries]
        last_use = max([last_use, *uses])
    return found


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_tensor, value))
    return isinstance(value, Tensor)


def count_weights(traced: fx.GraphModule, step: fx.Node) -> int:
    """Return the number of matrices and kernels in a step: those of its module, or itself.

    Of parameters by themselves, only those called weight: class tokens and positions are none.
    """
    if step.op == "call_module":
        module = traced.get_submodule(str(step.target))
        return sum(weight.dim() > 1 for weight in module.parameters())
    if step.op == "get_attr":
        owner, _, name = str(step.target).rpartition(".")
        value = getattr(traced.get_submodule(owner), name)
        return int(name == "weight" and value.dim() > 1)
    return 0


def kind(traced: fx.GraphModule, step: fx.Node) -> str:
    """Return the name of a step's function, method or class of module, in lower case."""
    if step.op == "call_module":
        return type(traced.get_submodule(str(step.target))).__name__.lower()
    return str(getattr(step.target, "__name__", step.target)).lower()


def layer_names(names: list[str]) -> dict[str, tuple[str, ...]]:
    """Return by node the modules that end with it, outermost first, and itself.

    names are those of all nodes in order.

    >>> layer_names(["conv", "layer1.0.conv", "layer1.0.relu"])["layer1.0.relu"]
    ('layer1', 'layer1.0', 'layer1.0.relu')
    """
    last: dict[str, str] = {}  # node by module
    for name in names:
        parts = name.split(".")
        last |= {".".join(parts[:length]): name for length in range(1, len(parts) + 1)}
    ends: dict[str, list[str]] = {name: [] for name in names}
    for layer, name in last.items():
        ends[name].append(layer)
    return {name: tuple(sorted(layers, key=len)) for name, layers in ends.items()}
