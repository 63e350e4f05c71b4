"""The network of a finished run, ready for images that are not in its gallery. Imports no torch."""

from pathlib import Path
from typing import Any

from src.config.backbone import VECTORS
from src.config.layer_terms import parse_terms
from src.config.stored import stored_config
from src.config.validation import expand_home
from src.embedding.cache import row_options
from src.embedding.joining import LayerJoin
from src.embedding.presets import cached_preset
from src.embedding.queries import QueryEmbedder
from src.embedding.row_files import read_options
from src.embedding.transforms import transform
from src.errors import UserError
from src.io.outputs import Outputs
from src.reporting.run_checks import read_mapping
from src.reporting.run_folder import CONFIG, RunFolder
from src.reporting.settings import flatten

HYDRA = Path(".hydra", "hydra.yaml")  # which tells from where a run was started


def open_network(run: RunFolder, outputs: Outputs) -> QueryEmbedder:
    """Return what embeds images as the run did; the network itself is loaded when it is needed.

    Raises UserError if the run's embeddings or weights are gone, or if this version would compute
    other rows than those that are stored.
    """
    if run.settings().get("backbone.name") == VECTORS:
        raise UserError(
            "the run compares vectors that its user has given, and the network that made them is"
            " not known, so no other image can be embedded in the same way: python -m src.show and"
            " the pages show the neighbors of its own images"
        )
    folder = run.path / run.paths().get("embeddings", "")
    try:
        record = read_options(folder)
    except FileNotFoundError as error:
        raise UserError(
            f"the run's embeddings in {folder} are gone, so nothing can be compared with them: run"
            " the command of the run again"
        ) from error
    stored = read_mapping(run.path / CONFIG)
    _find_weights(run, stored, str(record.get("weights", "")))
    cfg = stored_config(stored, run.path / CONFIG)
    fitted = transform(cached_preset(cfg.backbone, outputs.presets), cfg.data)
    for name, value in row_options(cfg, fitted).items():
        if record.get(name) != value:
            raise UserError(
                f"{folder} was made with {name}={record.get(name)}, but now {name}={value}, so new"
                " images cannot be compared with it"
                + f": put that file back as {cfg.backbone.weights}"
                * (name == "weights")
            )
    terms = parse_terms(str(record.get("layer", "")))
    return QueryEmbedder(cfg, LayerJoin(tuple(terms), "join" in record), fitted, folder)


def _find_weights(run: RunFolder, stored: dict[str, Any], recorded: str) -> None:
    """Set the path of a file of weights in stored to where it is. Raises UserError if it is gone.

    It may be relative to the folder where the run was started.
    """
    backbone = stored.get("backbone")
    if not isinstance(backbone, dict) or "(sha256 " not in recorded:
        return
    path = Path(expand_home(str(backbone.get("weights", ""))))
    start = dict(flatten(read_mapping(run.path / HYDRA))).get("hydra.runtime.cwd")
    places = [path, Path(str(start or "")) / path]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UserError(
            f"the network's weights are gone: put the file {recorded} back as {places[-1]}"
        )
    backbone["weights"] = str(found)
