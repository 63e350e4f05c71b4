"""Every option: its type, default, unit and check. configs/ and the command line override these.

Nothing heavy is imported here, so that a wrong option is refused at once.
"""

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from src.checks import UserError, at_least, between, folder, is_address, model_names, near
from src.choices import (
    Accelerator,
    Compile,
    Decode,
    Dtype,
    Exclude,
    FastPass,
    Pooling,
    Postprocess,
    Precision,
    Resize,
    Storage,
    Strategy,
    View,
    WandbMode,
)


def _option(default: Any, text: str) -> Any:
    """A field whose text stands in --help."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": text})
    return field(default=default, metadata={"help": text})


@dataclass
class Data:
    """Options of every source of images."""

    image_size: str | None = _option(
        None,
        "pixels of the longer side: what is fetched (nga), what larger files are first reduced to;"
        " thumb = 200; null = as they are",
    )
    limit: int | None = _option(None, "take a seeded sample of this many images; null = all")
    batch_size: int | None = _option(
        None, "images that go through the network at once; null = by the machine"
    )
    decode: Decode = _option(
        Decode.scaled,
        "scaled: JPEGs far larger than the network's input are decoded at 1/2, 1/4 or 1/8 of their"
        " size, several times as fast; full: every pixel",
    )
    workers: int | None = _option(None, "processes that decode images; null = by the machine")
    resize: Resize = _option(
        Resize.squash, "to the network's square: the whole picture squashed, center crop, or padded"
    )
    max_pixels: int = _option(100_000_000, "larger images are skipped before they are decoded")

    def __post_init__(self) -> None:
        if not re.fullmatch(r"thumb|[1-9]\d*|None", str(self.image_size)):
            raise UserError(
                f"data.image_size must be a number of pixels, thumb or null, got {self.image_size}"
            )
        at_least(16, data__image_size=self.longer_side)
        at_least(2, data__limit=self.limit)
        at_least(1, data__batch_size=self.batch_size, data__max_pixels=self.max_pixels)
        at_least(0, data__workers=self.workers)

    @property
    def longer_side(self) -> int | None:
        """image_size in pixels."""
        if self.image_size is None:
            return None
        return 200 if self.image_size == "thumb" else int(self.image_size)


@dataclass
class Nga(Data):
    """The National Gallery of Art's open data."""

    image_size: str | None = "256"
    tables: str = _option(
        "https://raw.githubusercontent.com/NationalGalleryOfArt/opendata/main/data",
        "where the tables are: a URL or a folder",
    )
    classification: str = _option("painting", "kind of object; all = every kind")
    view: View = _option(View.primary, "one image an object, or other views too")
    open_access: bool = _option(True, "only images that are in the public domain")
    artists: list[str] = _option([], "only these artists; empty = all")
    refresh: bool = _option(False, "fetch the tables again where they have changed")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_address(self.tables) and not Path(self.tables).is_dir():
            raise UserError(
                f"data.tables={self.tables} is neither a folder nor an http(s) address: give the"
                " place of published_images.csv, objects.csv and the tables beside them"
            )
        if not self.classification:
            raise UserError("data.classification must be a kind of object, or all; got nothing")


@dataclass
class Folder(Data):
    """Any folder of images, nested or flat; nothing is copied."""

    images: str = _option(MISSING, "the folder")
    labels: str | None = _option(
        None, "a CSV with a column file and any label columns; null = the first sub-folder level"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images in (MISSING, ""):
            raise UserError("data=folder needs data.images=<a folder of images>")
        folder("data.images", self.images)
        if self.labels is not None and not Path(self.labels).is_file():
            raise UserError(f"data.labels={self.labels} is not a file: give the path of a CSV")


@dataclass
class Demo(Data):
    """Paintings that the program draws itself: no network, no account."""

    image_size: str | None = "256"


@dataclass
class Download:
    workers: int = _option(8, "connections at once")
    requests_per_second: float = _option(20.0, "of all workers together; 0 = no limit")
    max_bytes: int = _option(50_000_000, "a larger image is refused")
    max_failed: float = _option(0.05, "share of the images that may be missing, else exit code 1")
    retry_failed: bool = _option(False, "ask again for images that failed for good, such as 404")
    contact: str | None = _option(None, "your e-mail or page, told to the host's operators")

    def __post_init__(self) -> None:
        between(1, 64, download__workers=self.workers)
        if self.requests_per_second:
            between(0.001, 10_000, download__requests_per_second=self.requests_per_second)
        at_least(1, download__max_bytes=self.max_bytes)
        between(0, 1, download__max_failed=self.max_failed)
        if self.contact and not (self.contact.isascii() and self.contact.isprintable()):
            raise UserError(f"download.contact must be plain ASCII, got {self.contact!r}")


@dataclass
class Backbone:
    name: str = _option(
        "resnet50", "any torchvision classification model, or timm/<model> with the extra timm"
    )
    weights: str = _option(
        "IMAGENET1K_V2",
        "IMAGENET1K_V1, IMAGENET1K_V2, random (seeded), or a state dict's path; pretrained: timm's",
    )
    layer: str = _option(
        "avgpool",
        "layer1 ... layer4, avgpool, or any node of the model; several joined: layer3+avgpool",
    )
    layers: list[str] | None = _option(
        None, "written by the same pass; null = layer1 to layer4 of a ResNet, else layer alone"
    )
    pooling: Pooling = _option(
        Pooling.avg, "over the spatial axes, or over tokens; token = the first"
    )
    gem_p: float = _option(3.0, "exponent of gem pooling")

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
                f"{near(self.name, model_names())}"
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
    storage: Storage = _option(
        Storage.topk, "keep each image's neighbors, or the whole (n, n) matrix as well"
    )
    top_k: int = _option(10, "neighbors kept of each image")
    dtype: Dtype = _option(Dtype.float32, "of the stored matrix")
    block_size: str = _option("auto", "rows compared at once; changes no result")
    precision: FastPass = _option(
        FastPass.auto,
        "of the pass that proposes neighbors: float16 on a GPU, else float32; changes no result",
    )
    postprocess: Postprocess = _option(Postprocess.none, "of the features, before comparing")
    whiten_power: float = _option(0.5, "0 = rotate only, 1 = every axis to unit variance")
    whiten_dim: int | None = _option(None, "leading axes kept; null = all")
    exclude: Exclude = _option(
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
    labels: list[str] | None = _option(
        None, "columns of works.csv; null = those that have repeated values"
    )
    depth: int = _option(100, "neighbors of each image that the metrics may use")
    pairs: int = _option(50_000, "random pairs that the AUCs compare with")
    resamples: int = _option(1000, "of the queries, for the 95% bootstrap intervals")
    near_duplicate: float = _option(0.98, "score from which on two images are listed as one")

    def __post_init__(self) -> None:
        at_least(1, evaluation__depth=self.depth, evaluation__pairs=self.pairs)
        at_least(1, evaluation__resamples=self.resamples)
        between(-1, 1, evaluation__near_duplicate=self.near_duplicate)


@dataclass
class Tracking:
    wandb: WandbMode = _option(WandbMode.offline, "online needs an account's key")
    tensorboard: bool = _option(True, "write event files into the run's folder")
    project: str = _option("painting-similarity", "name of the wandb project")


@dataclass
class Trainer:
    accelerator: Accelerator = _option(Accelerator.auto, "where images are embedded and compared")
    devices: int = _option(1, "processes on each machine, one for each GPU, or sharing the cores")
    num_nodes: int = _option(1, "machines, over which torchrun or srun starts the processes")
    strategy: Strategy = _option(
        Strategy.auto, "several processes share out images and pairs: auto means ddp"
    )
    precision: Precision = _option(Precision["32-true"], "of the network")
    compile: Compile = _option(
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
    seed: int = _option(0, "of random weights, samples and the demo's paintings")
    outputs: str = _option("outputs", "folder that everything is written under")

    def __post_init__(self) -> None:
        between(0, 2**32 - 1, seed=self.seed)
        if not self.outputs:
            raise UserError("outputs must be the path of a folder, got nothing")
