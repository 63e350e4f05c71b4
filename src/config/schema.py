"""Every option: its type, default, unit and check; those of data and download are in sources.py.

configs/ and the command line override these.

Nothing heavy is imported here, so that a wrong option is refused at once.
"""

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from omegaconf import MISSING

from src.config.data import Data, Download, option
from src.config.enums import (
    Accelerator,
    Compile,
    Dtype,
    Exclude,
    FastPass,
    Pooling,
    Postprocess,
    Precision,
    RankedBy,
    Storage,
    Strategy,
    WandbMode,
)
from src.config.validation import at_least, between, model_names
from src.errors import UserError, did_you_mean


@dataclass
class Backbone:
    name: str = option(
        "resnet50", "any torchvision classification model, or timm/<model> with the extra timm"
    )
    weights: str = option(
        "IMAGENET1K_V2",
        "IMAGENET1K_V1, IMAGENET1K_V2, random (seeded), or a state dict's path; pretrained: timm's",
    )
    layer: str = option(
        "avgpool",
        "layer1 ... layer4, avgpool, or any node of the model; several joined: layer3+avgpool",
    )
    layers: list[str] | None = option(
        None, "written by the same pass; null = layer1 to layer4 of a ResNet, else layer alone"
    )
    pooling: Pooling = option(
        Pooling.avg, "over the spatial axes, or over tokens; token = the first"
    )
    gem_p: float = option(3.0, "exponent of gem pooling")

    def __post_init__(self) -> None:
        if self.in_timm:
            if find_spec("timm") is None:
                raise UserError(
                    f"backbone.name={self.name} needs timm, the extra of that name:"
                    " pip install -e .[timm]"
                )
        elif self.name not in model_names():
            raise UserError(
                f"backbone.name={self.name} is not a torchvision classification model"
                f"{did_you_mean(self.name, model_names())}"
            )
        known = "pretrained" if self.in_timm else r"IMAGENET1K_\w+"
        if not re.fullmatch(f"random|{known}", self.weights) and not self.path:
            names = "pretrained" if self.in_timm else "IMAGENET1K_V1, IMAGENET1K_V2"
            raise UserError(
                f"backbone.weights={self.weights} is neither {names} nor random, and there is no"
                " file of that name"
            )
        between(1, 100, backbone__gem_p=self.gem_p)

    @property
    def in_timm(self) -> bool:
        """Whether the model is one of timm's."""
        return self.name.startswith("timm/")

    @property
    def path(self) -> Path | None:
        """The state dict, where weights name a file."""
        return Path(self.weights) if Path(self.weights).is_file() else None


@dataclass
class Similarity:
    storage: Storage = option(
        Storage.topk, "keep each image's neighbors, or the whole (n, n) matrix as well"
    )
    top_k: int = option(10, "neighbors kept of each image")
    dtype: Dtype = option(Dtype.float32, "of the stored matrix")
    block_size: str = option("auto", "rows compared at once; changes no result")
    precision: FastPass = option(
        FastPass.auto,
        "of the pass that proposes neighbors: float16 on a GPU, else float32; changes no result",
    )
    postprocess: Postprocess = option(Postprocess.none, "of the features, before comparing")
    whiten_power: float = option(0.5, "0 = rotate only, 1 = every axis to unit variance")
    whiten_dim: int | None = option(None, "leading axes kept; null = all")
    ranking: RankedBy = option(
        RankedBy.cosine,
        "order of neighbors; csls: less what each scores with its own 10 nearest, against hubs",
    )
    exclude: Exclude = option(
        Exclude.none, "same_object: other views of the same object are no neighbors"
    )

    def __post_init__(self) -> None:
        at_least(1, similarity__top_k=self.top_k, similarity__whiten_dim=self.whiten_dim)
        between(0, 2, similarity__whiten_power=self.whiten_power)
        if not re.fullmatch(r"auto|\d+", self.block_size):
            raise UserError(
                f"similarity.block_size must be auto or at least 1, got {self.block_size}"
            )
        at_least(1, similarity__block_size=self.block)
        if self.storage is Storage.full and self.precision not in (FastPass.auto, FastPass.float32):
            raise UserError(
                f"similarity.precision={self.precision.name} is too coarse for a matrix: take"
                " float32 or auto, or similarity=topk"
            )

    @property
    def block(self) -> int | None:
        """block_size, None for auto."""
        return None if self.block_size == "auto" else int(self.block_size)


@dataclass
class Evaluation:
    labels: list[str] | None = option(
        None, "columns of works.csv; null = those that have repeated values"
    )
    depth: int = option(100, "neighbors of each image that the metrics may use")
    pairs: int = option(50_000, "random pairs that the AUCs compare with")
    resamples: int = option(1000, "of the queries, for the 95% bootstrap intervals")
    near_duplicate: float = option(0.98, "score from which on two images are listed as one")

    def __post_init__(self) -> None:
        at_least(1, evaluation__depth=self.depth, evaluation__pairs=self.pairs)
        at_least(1, evaluation__resamples=self.resamples)
        between(-1, 1, evaluation__near_duplicate=self.near_duplicate)


@dataclass
class Tracking:
    wandb: WandbMode = option(WandbMode.offline, "online needs an account's key")
    tensorboard: bool = option(True, "write event files into the run's folder")
    project: str = option("painting-similarity", "name of the wandb project")


@dataclass
class Trainer:
    accelerator: Accelerator = option(Accelerator.auto, "where images are embedded and compared")
    devices: int = option(1, "processes on each machine, one for each GPU, or sharing the cores")
    num_nodes: int = option(1, "machines, over which torchrun or srun starts the processes")
    strategy: Strategy = option(
        Strategy.auto, "several processes share out images and pairs: auto means ddp"
    )
    precision: Precision = option(Precision["32-true"], "of the network")
    compile: Compile = option(
        Compile.auto,
        "the network, by OpenVINO (CPU, with the extra of that name) or torch.compile (GPU);"
        " auto: where the gallery's size repays the time",
    )

    def __post_init__(self) -> None:
        at_least(1, trainer__devices=self.devices, trainer__num_nodes=self.num_nodes)

    @property
    def processes(self) -> int:
        """Of all machines together."""
        return self.devices * self.num_nodes


@dataclass
class Config:
    data: Data = MISSING
    download: Download = field(default_factory=Download)
    backbone: Backbone = field(default_factory=Backbone)
    similarity: Similarity = field(default_factory=Similarity)
    evaluation: Evaluation = field(default_factory=Evaluation)
    tracking: Tracking = field(default_factory=Tracking)
    trainer: Trainer = field(default_factory=Trainer)
    seed: int = option(0, "of random weights, samples and the demo's paintings")
    outputs: str = option("outputs", "folder that everything is written under")

    def __post_init__(self) -> None:
        between(0, 2**32 - 1, seed=self.seed)
        if not self.outputs:
            raise UserError("outputs must be the path of a folder, got nothing")
