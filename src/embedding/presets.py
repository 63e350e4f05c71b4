"""What a network's weights expect of an image. No torch.

It takes torchvision or timm to tell, which take seconds to import; so it is kept beside the
embeddings, and a run whose rows are cached imports neither.
"""

import json
import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from src.config import Backbone
from src.embedding.transforms import Preset
from src.io.files import atomic_write, folder_lock, sha256


def cached_preset(backbone: Backbone, folder: Path) -> Preset:
    """Return the preset of these weights; it is computed once, and kept in folder."""
    path = folder / f"{_key(backbone)}.json"
    return _read(path) or _compute(backbone, path)


def _compute(backbone: Backbone, path: Path) -> Preset:
    from src.embedding.models import preset_of

    preset = preset_of(backbone)
    with folder_lock(path.parent), atomic_write(path) as part:
        part.write_text(json.dumps(asdict(preset), indent=2) + "\n")
    return preset


def _key(backbone: Backbone) -> str:
    """A file name: the library, its version, the model and its weights."""
    library = "timm" if backbone.in_timm else "torchvision"
    name = re.sub(r"[^\w.-]", lambda odd: f"%{ord(odd[0]):x}", backbone.name)
    # a state dict is prepared for as the model's first weights are
    weights = "first" if backbone.weights == "random" or backbone.path else backbone.weights
    return f"{library}-{version(library)}-{name}-{weights}"


def _read(path: Path) -> Preset | None:
    """None where there is no such file, or a damaged one: it can always be computed."""
    try:
        values = json.loads(path.read_text())
        tuples = {name: tuple(values[name]) for name in ("mean", "std", "stages")}
        return Preset(**values | tuples)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def weights_id(backbone: Backbone, seed: int) -> str:
    """What tells these weights from any others: a name, a seed or a checksum."""
    if backbone.weights == "random":
        return f"random (seed {seed})"
    if backbone.path:
        return f"{backbone.path.name} (sha256 {sha256(backbone.path)[:16]})"
    return backbone.weights
