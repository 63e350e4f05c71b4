"""Settings of a run as a person would write them, and the captions made of them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src import __version__
from src.config.backbone import COLOR, VECTORS
from src.gallery import Gallery
from src.reporting.baselines import MARK, is_random

Settings = Mapping[str, Any]  # by dotted name

NULL = {
    "data.image_size": "original size",
    "similarity.whiten_dim": "all axes",
    "similarity.whiten_from": "fitted on itself",
    "evaluation.multilabel": "one label each",
    "data.judgements": "not judged",
}
PHRASES: dict[str, str | dict[str, str]] = {  # in the name of a run; {} is the value
    "backbone.weights": "{} weights",
    "backbone.pooling": "{} pooling",
    "backbone.gem_p": "exponent {}",
    "backbone.join": {"rows": "layers as they are", "whitened": "each layer whitened"},
    "similarity.storage": {"topk": "neighbors only", "full": "full matrix"},
    "similarity.top_k": "{} neighbors",
    "similarity.postprocess": {
        "none": "no post-processing",
        "center": "centered",
        "whiten": "whitened",
    },
    "similarity.whiten_power": "power {}",
    "similarity.whiten_dim": "{} axes",
    "similarity.whiten_from": "fitted by {}",
    "similarity.augment": "augmented by {}",
    "similarity.exclude": {
        "none": "other views and copies kept",
        "same_object": "other views left out",
        "same_image": "copies left out",
    },
    "data.image_size": "{} px",
    "data.resize": {"squash": "squashed", "crop": "cropped", "pad": "padded"},
    "data.decode": "{} decoding",
    "data.judgements": "judgements of {}",
    "evaluation.depth": "depth {}",
    "evaluation.pairs": "{} pairs",
    "evaluation.all_pairs": {
        "auto": "all pairs if quick",
        "always": "all pairs",
        "never": "sampled pairs",
    },
    "evaluation.resample": {"class": "intervals by class", "query": "intervals by query"},
    "evaluation.unknown_artists": {
        "strangers": "unknown artists are strangers",
        "left_out": "unknown artists left out",
    },
    "evaluation.multilabel": "labels split at {}",
    "evaluation.near_duplicate": "near-duplicates from {}",
    "seed": "seed {}",
}

NO_NETWORKS = {COLOR: "histogram of colors", VECTORS: "own vectors"}
FAMILIES = (  # of networks, as their authors write them
    *("AlexNet", "ConvNeXt", "DenseNet", "EfficientNet", "GoogLeNet", "Inception", "MaxViT"),
    *("MNASNet", "MobileNet", "RegNet", "ResNet", "ResNeXt", "ShuffleNet", "SqueezeNet", "Swin"),
    *("VGG", "ViT", "Wide ResNet"),
)
DEFAULTS = {  # of settings that are not worth a word
    "backbone.pooling": "avg",
    "backbone.join": "rows",
    "similarity.postprocess": "none",
    "similarity.whiten_power": 0.5,
    "similarity.augment": 0,
}
LEARNED_NOTHING = f"{MARK}: the network has learned nothing about paintings"
CSLS = (
    "order: csls, which puts paintings that are near to many others later; numbers: cosines, which"
    " therefore rise and fall"
)


def plain_value(name: str, value: Any) -> str:
    """Return a value as a person would write it."""
    if value is None:
        return NULL.get(name, "not set")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def phrase(name: str, text: str) -> str:
    """Return the value of a setting as a part of a run's name."""
    if name == "backbone.weights" and text in ("random", "none"):
        return MARK if text == "random" else "without weights"
    if (name, text) == ("similarity.augment", "0"):
        return "not augmented"
    words = PHRASES.get(name, "{}")
    if isinstance(words, dict):
        return words.get(text, text)
    return text if text in NULL.values() else words.replace("{}", text)


def network_name(name: str) -> str:
    """Return the name of a network of torchvision as in print, that of another library as it is.

    >>> network_name("resnet50"), network_name("squeezenet1_1"), network_name("vit_b_16")
    ('ResNet50', 'SqueezeNet1.1', 'ViT-b-16')
    """
    if name in NO_NETWORKS:
        return NO_NETWORKS[name]
    starts = {family.lower().replace(" ", "_"): family for family in FAMILIES}
    start = max(filter(name.startswith, starts), key=len, default="")
    if not start:
        return name
    version = re.sub(r"(?<!\d)(\d)_(\d)$", r"\1.\2", name.removeprefix(start))
    return starts[start] + version.replace("_", "-")


def weights_name(weights: str) -> str:
    """Return what a network has learned from, in words.

    >>> weights_name("IMAGENET1K_V2"), weights_name("my/style.pth")
    ('ImageNet weights (V2)', 'weights style.pth')
    """
    if weights in ("random", "pretrained"):
        return f"{weights} weights"
    version = weights.removeprefix("IMAGENET1K_")
    is_path = version == weights
    return f"weights {Path(weights).name}" if is_path else f"ImageNet weights ({version})"


def describe_run(settings: Settings) -> str:
    """Return network, weights, layer, post-processing and score of a run, as far as they are known.

    Names of settings are dotted, as in RunFolder.settings() and flat_options().
    """
    known = {name: value for name, value in settings.items() if value not in (None, "None")}
    network = [network_name(known["backbone.name"])] if "backbone.name" in known else []
    if known.get("backbone.weights", "none") != "none":
        network += [weights_name(str(known["backbone.weights"]))]
    is_own = known.get("backbone.name") == VECTORS
    network += [Path(str(known["data.features"])).name] if "data.features" in known else []
    names = [] if is_own else ["backbone.layer", "backbone.pooling"]
    names += ["backbone.gem_p"] if known.get("backbone.pooling") == "gem" else []
    names += ["backbone.join", "similarity.postprocess", "similarity.whiten_from"]
    if known.get("similarity.postprocess") == "whiten":
        names += [] if "similarity.whiten_from" in known else ["similarity.whiten_power"]
        names += ["similarity.whiten_dim"]
    names += ["similarity.augment"]
    network += [
        phrase(name, plain_value(name, known[name]))
        for name in names
        if name in known and known[name] != DEFAULTS.get(name)
    ]
    return "; ".join(filter(None, [", ".join(network), known.get("similarity.ranking", "")]))


def warn_of(settings: Settings) -> str:
    """Return what is to be known before the numbers of a run are believed, "" for a trained one."""
    return LEARNED_NOTHING if is_random(settings) else ""


def describe_order(settings: Settings) -> str:
    """Return why the scores do not fall from neighbor to neighbor, "" if they do."""
    return CSLS if settings.get("similarity.ranking") == "csls" else ""


def is_of_nga(gallery: Gallery) -> bool:
    """Return whether images are of the National Gallery of Art: the name of the gallery tells."""
    return re.fullmatch(r"nga-[0-9a-f]{12}", gallery.name) is not None


def name_collection(gallery: Gallery, is_open: bool) -> str:
    """Return where images are from: a museum, or the name of their folder.

    is_open tells whether a museum's images are only those in the public domain.
    """
    if is_of_nga(gallery):
        return f"National Gallery of Art, Washington{', open data (CC0)' if is_open else ''}"
    if re.fullmatch(r"demo-seed-\d+-[0-9a-f]{12}", gallery.name):
        return "paintings drawn by the program"
    if not gallery.has_pictures:
        return "vectors without pictures"
    return gallery.root.resolve().name


def cite(gallery: Gallery, is_open: bool, run: Path | None = None) -> str:
    """Return where the images of a figure are from, and what has drawn it."""
    parts = [f"{len(gallery)} images: {name_collection(gallery, is_open)}"]
    parts += [f"painting-similarity {__version__}", f"run {_run_name(run)}" if run else ""]
    return "; ".join(filter(None, parts))


def _run_name(run: Path) -> str:
    """Return a run's folder below outputs, which tells its date and time."""
    parts = run.absolute().parts
    start = max((at + 1 for at, part in enumerate(parts) if part in ("runs", "sweeps")), default=-1)
    return "/".join(parts[start:])
