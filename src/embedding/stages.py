"""The stages and the layers of networks, cached beside the embeddings. Imports no torch.

To find them takes torchvision or timm, which take seconds to import.
"""

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from src.config import Backbone
from src.io.files import atomic_write, folder_lock


@dataclass(frozen=True)
class Stages:
    """Names of layers in a network: for depths, avgpool and patterns. Fields are those of JSON."""

    ends: tuple[str, ...]  # the last layers of its four stages; () if it has no four
    pooled: str  # what avgpool names: the layer of that name if there is one, else the last stage's
    layers: tuple[tuple[str, ...], ...]  # in order, the names of each; the first is the one listed


def cached_stages(backbone: Backbone, size: int, folder: Path) -> Stages:
    """Return the stages of a network for images of size x size pixels.

    They are from a JSON file in folder, which is written if missing. Raises UserError if the
    network cannot be cut.
    """
    library = "timm" if backbone.in_timm else "torchvision"
    name = quote(backbone.name, safe="")
    path = folder / f"{library}-{version(library)}-{name}-{size}-stages.json"
    return _read(path) or _find(backbone, size, path)


def _read(path: Path) -> Stages | None:
    """Return the stages in a file, None if the file is missing or damaged."""
    try:
        values = json.loads(path.read_text())
        layers = tuple(tuple(names) for names in values["layers"])
        return Stages(tuple(values["ends"]), values["pooled"], layers)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _find(backbone: Backbone, size: int, path: Path) -> Stages:
    from src.embedding.models import empty_network
    from src.embedding.nodes import choose_stages, distinct_name, listed_name, trunk

    nodes = trunk(empty_network(backbone, size), size)
    ends = choose_stages(nodes, size)
    names = tuple(distinct_name(end, ends) for end in ends)
    is_own = not names or any("avgpool" in node.names for node in nodes)
    layers = tuple(
        (first := listed_name(node, ends), *(name for name in node.names if name != first))
        for node in nodes
        if not node.is_move
    )
    stages = Stages(names, "avgpool" if is_own else names[-1], layers)
    with folder_lock(path.parent), atomic_write(path) as part:
        part.write_text(json.dumps(asdict(stages), indent=2) + "\n")
    return stages
