"""From JPEG files to features.npy: this program beside the first version's loop, in one process.

python -m tests.bench.embed            # on a GPU too; random weights, whose speed is the same
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision import models, transforms
from tqdm import tqdm

from src.config import Backbone, Config, Trainer
from src.config.data import Folder
from src.config.enums import Accelerator, Compile, Decode, Pooling, Precision
from src.embedding.backbone import load_backbone
from src.embedding.compilation import compiled
from src.embedding.dataset import PaintingsDataset
from src.embedding.models import preset_of
from src.embedding.pooling import Output
from src.embedding.transforms import transform
from src.gallery import Gallery
from src.gallery.folder import folder_gallery
from src.pipeline.embed import embed
from src.runtime import devices

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def draw(folder: Path, n: int, side: int) -> None:
    """n JPEGs of side x side pixels that compress like pictures: 0.8 MB at 2,048."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(n):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        fine = rng.normal(0, 4, (side, side, 1))
        pixels = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)) + fine
        picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        picture.save(folder / f"{number:05}.jpg", quality=88)


def first_version(gallery: Gallery, into: Path) -> float:
    """Images a second of the loop that this program replaces: PIL, batches of one, eager."""
    network = models.resnet50()
    network.fc = nn.Identity()
    network.eval()
    steps = [transforms.Resize((224, 224)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    prepare, rows = transforms.Compose(steps), []
    began = time.perf_counter()
    with torch.no_grad():
        for number, file in enumerate(gallery.files, 1):
            image = Image.open(gallery.root / file).convert("RGB")
            rows.append(network(prepare(image)[None]).squeeze().numpy())
            if number % 100 == 0:
                np.save(into, np.array(rows))
    np.save(into, np.array(rows))
    return len(rows) / (time.perf_counter() - began)


def this_version(gallery: Gallery, cfg: Config) -> tuple[float, dict[str, float]]:
    """Images a second from files to features.npy, without compiling; and how it went."""
    with tempfile.TemporaryDirectory() as outputs:
        facts = embed(gallery, replace(cfg, outputs=outputs)).facts
    return facts["images_per_second"], facts


def network_alone(cfg: Config, n: int, device: torch.device) -> float:
    """Images a second of the compiled network, on random pixels that are there."""
    prepare = transform(preset_of(cfg.backbone), cfg.data)
    backbone = load_backbone(cfg.backbone, [Output("layer4", Pooling.avg)], prepare, 0).to(device)
    size = cfg.data.batch_size or devices.batch_size(device)
    pixels = torch.randint(0, 256, (size, 224, 224, 3), dtype=torch.uint8, device=device)
    if cfg.trainer.compile is not Compile.never:
        backbone.max_batch, backbone.compiled = size, compiled(backbone.extractor, 224, device)
    low = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}.get(cfg.trainer.precision.name)
    autocast = torch.autocast(device.type, low, enabled=low is not None)
    with torch.inference_mode(), autocast:
        backbone(pixels)
        with timed(device) as seconds:
            for _ in range(-(-n // size)):
                backbone(pixels)
    return -(-n // size) * size / seconds[0]


@contextmanager
def timed(device: torch.device) -> Iterator[list[float]]:
    """A list that holds the seconds of the block after it."""
    seconds: list[float] = []
    began = time.perf_counter()
    yield seconds
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds.append(time.perf_counter() - began)


def plain_decoding(gallery: Gallery) -> float:
    """Images a second opened whole and resized, in this thread, as the first version did."""
    began = time.perf_counter()
    for file in gallery.files:
        image = Image.open(gallery.root / file).convert("RGB")
        np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR))
    return len(gallery) / (time.perf_counter() - began)


def decoding_alone(gallery: Gallery, cfg: Config) -> float:
    """Images a second through decoding and resizing, in this thread."""
    images = PaintingsDataset(
        gallery, transform(preset_of(cfg.backbone), cfg.data), cfg.data.max_pixels
    )
    began = time.perf_counter()
    for row in range(len(images)):
        assert not isinstance(images[row][1], str)
    return len(images) / (time.perf_counter() - began)


def changed(cfg: Config, **options: object) -> Config:
    """Options of trainer and data, by their last names."""
    trainer = {k: v for k, v in options.items() if hasattr(cfg.trainer, k)}
    data = {k: v for k, v in options.items() if k not in trainer}
    return replace(cfg, trainer=replace(cfg.trainer, **trainer), data=replace(cfg.data, **data))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser("python -m tests.bench.embed")
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=4, help="every line has a part of the images")
    parser.add_argument("--large", type=int, default=32, help="files of 2,048 pixels")
    parser.add_argument("--workers", default="", help="numbers of decoding processes, by commas")
    parser.add_argument("--only", default="", help="names of lines, by commas")
    options = parser.parse_args()
    logging.disable()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.images:
            small(folder, options)
        if options.large:
            large(folder, options.large)


def small(folder: Path, options: argparse.Namespace) -> None:
    """Files of 256 pixels: all lines in turn, so that a noisy minute hits all."""
    device = devices.device_of(Accelerator.auto)
    precision = "bf16-mixed" if device.type == "cuda" else "32-true"
    draw(folder / "small", options.images, 256)
    cfg = Config(
        data=Folder(images=str(folder / "small")),
        backbone=Backbone(name="resnet50", weights="random"),
        trainer=Trainer(compile=Compile.never, precision=Precision(precision)),
    )
    fast = changed(cfg, compile=Compile.always)
    facts: dict[str, float] = {}

    def here(cfg: Config) -> Callable[[Gallery], float]:
        def run(gallery: Gallery) -> float:
            rate, found = this_version(gallery, cfg)
            facts.update(found)
            return rate

        return run

    lines: dict[str, Callable[[Gallery], float]] = {
        "first version": lambda gallery: first_version(gallery, folder / "first.npy"),
        "eager": here(cfg),
        "compiled": here(fast),
        "network alone": lambda gallery: network_alone(fast, len(gallery), device),
        "decoding alone": lambda gallery: decoding_alone(gallery, cfg),
    }
    for workers in filter(None, options.workers.split(",")):
        lines[f"compiled, {workers} workers"] = here(changed(fast, workers=int(workers)))
    lines = {k: v for k, v in lines.items() if not options.only or k in options.only.split(",")}
    whole = folder_gallery(folder / "small", None, None, 0, folder / "outputs")
    seconds: dict[str, list[float]] = {line: [] for line in lines}
    for number in tqdm(range(options.rounds), leave=False):
        part = whole.subset(np.arange(number, len(whole), options.rounds))
        for line, work in lines.items():
            seconds[line].append(len(part) / work(part))
    print(f"{options.images} JPEGs of 256 pixels, ResNet50, {device}, {precision},")
    print(f"{torch.get_num_threads()} threads; images a second, best and worst of {options.rounds}")
    base = sum(seconds.get("first version", [float("nan")]))
    for line, each in seconds.items():
        rates = [options.images / options.rounds / one for one in each]
        ratio = base / sum(each)
        print(f"{line:22} {options.images / sum(each):8.1f}  ({max(rates):.1f}, {min(rates):.1f})"
              f" {ratio:6.2f} times the first version")  # fmt: skip
    print(f"compiling took {facts.get('compile_seconds', 0):.0f} s; waiting for data"
          f" {100 * facts.get('waiting_for_data', 0):.1f}% of the last line's time")  # fmt: skip


def large(folder: Path, n: int) -> None:
    """Files of 2,048 pixels: plainly, and by this program at a part of their size and whole."""
    draw(folder / "large", n, 2048)
    gallery = folder_gallery(folder / "large", None, None, 0, folder / "outputs")
    backbone = Backbone(name="resnet50", weights="random")
    each = {
        decode: Config(data=Folder(images=str(folder / "large"), decode=decode), backbone=backbone)
        for decode in Decode
    }
    lines: dict[str, Callable[[], float]] = {"open and resize": lambda: plain_decoding(gallery)}
    for decode, cfg in each.items():
        lines[f"decode={decode.name}"] = lambda cfg=cfg: decoding_alone(gallery, cfg)
    seconds = dict.fromkeys(lines, 0.0)
    for _ in range(3):
        for line, work in lines.items():
            seconds[line] += n / work()
    print(f"{n} JPEGs of 2,048 pixels, decoding alone, images a second:")
    for line, took in seconds.items():
        base = seconds["open and resize"]
        print(f"{line:22} {3 * n / took:8.1f} {base / took:6.2f} times open and resize")
    rows = {}
    for decode, cfg in each.items():
        with tempfile.TemporaryDirectory() as outputs:
            features = embed(gallery, replace(cfg, outputs=outputs)).features
            rows[decode] = torch.from_numpy(np.array(features)).double()
    cosine = torch.cosine_similarity(rows[Decode.scaled], rows[Decode.full])
    print(f"cosine of the two rows of an image: at least {cosine.min():.6f}")


if __name__ == "__main__":
    main()
