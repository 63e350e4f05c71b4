"""Presets of pretrained weights, cached beside the embeddings. Imports no torch.

Only torchvision and timm know them, which take seconds to import; with the cache, a run whose rows
are cached imports neither.
"""

import json
import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from src.config import Backbone
from src.embedding.transforms import Preset
from src.errors import UserError
from src.io.bounded import read_json
from src.io.files import atomic_write, folder_lock, sha256

COLOR_BINS = "8 bins of each of L* 0 to 100, a* -50 to 60, b* -50 to 70"


def cached_preset(backbone: Backbone, folder: Path) -> Preset:
    """Return the preset of the weights, from a JSON file in folder, which is written if missing."""
    path = folder / f"{_key(backbone)}.json"
    return _read(path) or _compute(backbone, path)


def _compute(backbone: Backbone, path: Path) -> Preset:
    from src.embedding.models import preset_of

    preset = preset_of(backbone)
    with folder_lock(path.parent), atomic_write(path) as part:
        part.write_text(json.dumps(asdict(preset), indent=2) + "\n")
    return preset


def _key(backbone: Backbone) -> str:
    """Return a file name of the library, its version, the model and its weights."""
    library = "timm" if backbone.in_timm else "torchvision"
    name = re.sub(r"[^\w.-]", lambda letter: f"%{ord(letter[0]):x}", backbone.name)
    # random weights and state dicts expect what the model's first weights do
    weights = "first" if backbone.weights == "random" or backbone.path else backbone.weights
    return f"{library}-{version(library)}-{name}-{weights}"


def _read(path: Path) -> Preset | None:
    """Return the preset in a file, None if the file is missing or damaged."""
    try:
        values = read_json(path)
        tuples = {name: tuple(values[name]) for name in ("mean", "std", "stages")}
        if not isinstance(values["weights_file"], str):  # earlier versions did not tell it
            return None
        return Preset(**values | tuples)
    except (FileNotFoundError, UserError, KeyError, TypeError):
        return None


def weights_id(backbone: Backbone, seed: int) -> str:
    """Return what identifies the weights: their name, a seed or a checksum."""
    if backbone.is_color:
        return f"none ({COLOR_BINS})"
    if backbone.weights == "random":
        return f"random (seed {seed})"
    if backbone.path:
        return f"{backbone.path.name} (sha256 {sha256(backbone.path)[:16]})"
    return backbone.weights


def weights_file(backbone: Backbone, folder: Path) -> dict[str, str]:
    """Return file and sha256 of the weights, {} for random ones; folder is that of cached_preset.

    Of weights that torchvision publishes, sha256 has as many digits as the name of their file. What
    no cached preset tells is left out.
    """
    if backbone.path:
        return {"file": backbone.path.name, "sha256": sha256(backbone.path)}
    if backbone.weights == "random" or backbone.is_color:
        return {}
    preset = _read(folder / f"{_key(backbone)}.json")
    if preset is None or not preset.weights_file:
        return {}
    digits = re.search(r"-([0-9a-f]{8,64})\.\w+$", preset.weights_file)
    return {"file": preset.weights_file} | ({"sha256": digits[1]} if digits else {})
