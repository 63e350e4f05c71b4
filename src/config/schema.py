"""The options of similarity, tracking and trainer, and of all groups together.

The files in configs/ and the command line override the defaults. Imports only OmegaConf and the
standard library, so that invalid options fail fast.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from src.config.backbone import Backbone
from src.config.data import Data, Download
from src.config.enums import (
    Accelerator,
    Compile,
    Dtype,
    Exclude,
    FastPass,
    Postprocess,
    Precision,
    RankedBy,
    Storage,
    Strategy,
    WandbMode,
)
from src.config.evaluation import Evaluation
from src.config.features import Features
from src.config.validation import check_bounds, expand_home, option
from src.errors import UserError


@dataclass
class Similarity:
    """How images are compared, and which neighbors are stored."""

    storage: Storage = option(
        Storage.topk,
        "topk: store only the neighbors of each image; full: also the (n, n) similarity matrix",
    )
    top_k: int = option(10, "neighbors to store per image", low=1)
    dtype: Dtype = option(Dtype.float32, "data type of the stored matrix")
    block_size: str = option(
        "auto",
        "rows per block of comparisons; auto = as many as fit into memory; does not change results",
        low=1,
    )
    precision: FastPass = option(
        FastPass.auto,
        "precision of the fast pass that proposes candidates; auto = float16 on a GPU, else"
        " float32; does not change results",
    )
    postprocess: Postprocess = option(
        Postprocess.none, "transform of the features before they are compared"
    )
    whiten_power: float = option(
        0.5,
        "strength of whitening: 0 = rotate only, 1 = unit variance on every axis",
        low=0,
        high=2,
    )
    whiten_dim: int | None = option(None, "leading axes to keep when whitening; null = all", low=1)
    whiten_from: str | None = option(
        None,
        "folder of a run, or its postprocess.npz, whose centering or whitening is used; null = fit"
        " it on the features that are compared",
    )
    augment: int = option(
        0,
        "database augmentation: add this number of its nearest to each image's features, weighted"
        " by the cube of their cosine, before images are compared; 0 = none",
        low=0,
        high=20,
    )
    ranking: RankedBy = option(
        RankedBy.cosine,
        "ranking score: cosine, or CSLS (cosine minus half the neighbor's mean cosine to its 10"
        " nearest), which demotes hubs",
    )
    exclude: Exclude = option(
        Exclude.none,
        "an image's neighbors exclude: same_object, other views of its object; same_image, copies"
        " of its file, by checksum",
    )
    write_csv: bool = option(
        True,
        "write paintings.csv, each image with its facts and neighbors, and neighbors.csv, each pair"
        " with titles, artists and addresses, about 600 bytes a pair (0.7 GB for 10 neighbors of"
        " 122,477 images)",
    )

    def __post_init__(self) -> None:
        check_bounds(self, "similarity")
        self._check_whiten_from()
        if not re.fullmatch(r"auto|\d+", self.block_size):
            raise UserError(
                f"similarity.block_size must be auto or at least 1, got {self.block_size}"
            )
        if self.storage is Storage.full and self.precision not in (FastPass.auto, FastPass.float32):
            raise UserError(
                f"similarity.precision={self.precision.name} is not precise enough for"
                " similarity.storage=full: use float32 or auto, or similarity=topk"
            )

    def _check_whiten_from(self) -> None:
        """Raise UserError for a file that is not there, or options that it leaves no room for."""
        if self.whiten_from is None:
            return
        self.whiten_from = expand_home(self.whiten_from)
        given = f"similarity.whiten_from={self.whiten_from}"
        if self.postprocess is Postprocess.none:
            raise UserError(f"{given} needs similarity.postprocess=center or whiten")
        if self.whiten_power != Similarity.whiten_power:
            raise UserError(
                f"similarity.whiten_power={self.whiten_power:g} has no effect with {given}, which"
                " was fitted with a power of its own: leave one of them out"
            )
        if (path := self.postprocess_file) is not None and not path.is_file():
            raise UserError(
                f"{given}: there is no file {path}: give the folder of a run with"
                " similarity.postprocess=center or whiten, or its postprocess.npz"
            )

    @property
    def postprocess_file(self) -> Path | None:
        """Return the file that whiten_from names, None if the run fits its own."""
        if self.whiten_from is None:
            return None
        path = Path(self.whiten_from)
        return path / "postprocess.npz" if path.is_dir() else path

    @property
    def block(self) -> int | None:
        """Return block_size as a number of rows, or None for auto."""
        return None if self.block_size == "auto" else int(self.block_size)


@dataclass
class Tracking:
    """Experiment trackers."""

    wandb: WandbMode = option(
        WandbMode.offline, "online needs an API key; offline runs can be uploaded later"
    )
    tensorboard: bool = option(True, "write TensorBoard event files into the run folder")
    project: str = option("painting-similarity", "wandb project name")

    def __post_init__(self) -> None:
        check_bounds(self, "tracking")


@dataclass
class Trainer:
    """Devices and processes."""

    accelerator: Accelerator = option(
        Accelerator.auto, "device that embeds and compares images; auto = a GPU if available"
    )
    devices: int = option(
        1, "processes per node: one per GPU, or CPU processes that share the cores", low=1
    )
    num_nodes: int = option(
        1, "machines; with several, torchrun or srun launches the processes", low=1
    )
    strategy: Strategy = option(Strategy.auto, "how several processes share the work; auto = ddp")
    precision: Precision = option(Precision["32-true"], "floating-point precision of the network")
    compile: Compile = option(
        Compile.auto,
        "compile the network with OpenVINO (CPU, needs the optional dependency openvino) or"
        " torch.compile (GPU); auto: only if the gallery is large enough to amortize compilation",
    )

    def __post_init__(self) -> None:
        check_bounds(self, "trainer")

    @property
    def world_size(self) -> int:
        """Return the number of processes on all machines together."""
        return self.devices * self.num_nodes


@dataclass
class Config:
    """All options of a run."""

    data: Data = MISSING
    download: Download = field(default_factory=Download)
    backbone: Backbone = field(default_factory=Backbone)
    similarity: Similarity = field(default_factory=Similarity)
    evaluation: Evaluation = field(default_factory=Evaluation)
    tracking: Tracking = field(default_factory=Tracking)
    trainer: Trainer = field(default_factory=Trainer)
    seed: int = option(
        0,
        "random seed of samples, random weights, metrics and the demo's paintings",
        low=0,
        high=2**32 - 1,
    )
    outputs: str = option("outputs", "folder for all files that runs write")
    escape_formulas: bool = option(
        True,
        "in CSV files, put an apostrophe before text that a spreadsheet would compute, such as"
        " =1+1; false = write all text as it is",
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        if not self.outputs:
            raise UserError("outputs must be the path of a folder, got an empty value")
        self.outputs = expand_home(self.outputs)
        self._check_vectors()

    def _check_vectors(self) -> None:
        """Raise UserError if a network is asked for and vectors are given, or the other way."""
        has_vectors = isinstance(self.data, Features)
        if self.backbone.is_vectors and not has_vectors:
            raise UserError(
                "backbone.name=vectors needs data=features data.features=<a .npy, .npz or .parquet"
                " file>"
            )
        if has_vectors and not self.backbone.is_vectors:
            raise UserError(
                f"backbone.name={self.backbone.name} has no effect with data=features, whose rows"
                " are compared in place of a network's: leave out backbone, and an experiment that"
                " sets it"
            )
        if has_vectors and self.trainer.precision is not Precision["32-true"]:
            raise UserError(
                f"trainer.precision={self.trainer.precision.name} has no effect with data=features,"
                " which needs no network: leave it out"
            )
