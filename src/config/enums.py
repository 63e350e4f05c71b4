"""Enumerations for options with a fixed set of values.

OmegaConf 2.3 has no Literal, and Hydra 1.3 needs OmegaConf below 2.4.
"""

from enum import Enum


class View(Enum):
    primary = "primary"
    all = "all"


class Resize(Enum):
    squash = "squash"
    crop = "crop"
    pad = "pad"


class Decode(Enum):
    scaled = "scaled"
    full = "full"


class Pooling(Enum):
    avg = "avg"
    max = "max"
    gem = "gem"
    token = "token"
    patches = "patches"
    meanstd = "meanstd"


class Join(Enum):
    rows = "rows"
    whitened = "whitened"


class Storage(Enum):
    topk = "topk"
    full = "full"


class Dtype(Enum):
    float32 = "float32"
    float16 = "float16"


class Postprocess(Enum):
    none = "none"
    center = "center"
    whiten = "whiten"


class FastPass(Enum):
    auto = "auto"
    float32 = "float32"
    tf32 = "tf32"
    float16 = "float16"


class RankedBy(Enum):
    cosine = "cosine"
    csls = "csls"


class Exclude(Enum):
    none = "none"
    same_object = "same_object"
    same_image = "same_image"


class UnknownArtists(Enum):
    strangers = "strangers"
    left_out = "left_out"


# class is a keyword of Python
Resample = Enum("Resample", {"class": "class", "query": "query"})


class AllPairs(Enum):
    auto = "auto"
    always = "always"
    never = "never"


class WandbMode(Enum):
    offline = "offline"
    online = "online"
    off = "off"


class Accelerator(Enum):
    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"
    mps = "mps"


class Compile(Enum):
    auto = "auto"
    always = "always"
    never = "never"


class Strategy(Enum):
    auto = "auto"
    ddp = "ddp"


Precision = Enum(
    "Precision", {"32-true": "32-true", "16-mixed": "16-mixed", "bf16-mixed": "bf16-mixed"}
)

DEPTHS = ("25%", "50%", "75%", "100%")  # of a network, for backbone.layer: where four stages end
