"""What backbone.pooling=meanstd costs beside avg, in shares of the whole pass through a network:

    python -m tests.bench.pooling [--images 64] [--rounds 5]

Random weights, whose speed is the same, and random pixels; the layers are those that a run stores.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from src.config import Backbone
from src.config.data import Demo
from src.config.enums import Accelerator, Pooling
from src.embedding.compilation import available_compiler, compiled
from src.embedding.extractor import build_extractor
from src.embedding.layers import written_layers
from src.embedding.models import load_network, preset_of
from src.embedding.pooling import Output
from src.embedding.transforms import transform
from src.runtime.devices import device_of

CASES = {  # by name: a network and the layers that are stored
    "resnet50, 4 layers": ("resnet50", "layer4"),
    "squeezenet1_1": ("squeezenet1_1", "features.10"),
    "squeezenet1_1, 4 layers": ("squeezenet1_1", "features.5+features.7+features.9+features.11"),
}
BATCH = 16
Way = Callable[[Tensor], object]  # of pixels through a network


def passes(case: str, pooling: Pooling, device: torch.device) -> dict[str, Way]:
    """The ways in which pixels go through a network, uncompiled first."""
    name, layer = CASES[case]
    options = Backbone(name, "random", layer, pooling=pooling)
    preset = preset_of(options)
    prepare = transform(preset, Demo())
    outputs = [Output(layer, pooling) for layer in written_layers(options, preset)]
    extractor = build_extractor(load_network(options, 0), outputs, options, prepare).to(device)
    ways: dict[str, Way] = {"eager": extractor}
    if available_compiler(device):
        ways["compiled"] = compiled(extractor, prepare.size, device)
    return ways


def seconds(way: Way, batch: Tensor) -> tuple[float, float]:
    """Wall-clock and processor seconds of a batch through the network."""
    began, used = time.perf_counter(), time.process_time()
    way(batch)
    if batch.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began, time.process_time() - used


@torch.inference_mode()
def main() -> None:
    """Print a line for each network and way."""
    parser = argparse.ArgumentParser("python -m tests.bench.pooling")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="of avg and meanstd in turn")
    options = parser.parse_args()
    device = device_of(Accelerator.auto)
    pixels = torch.randint(0, 256, (options.images, 224, 224, 3), dtype=torch.uint8, device=device)
    batches = pixels.split(BATCH)
    print(f"{options.images} images, {torch.get_num_threads()} threads, {device}; images a second")
    print("of the best batch, and what meanstd costs: of its time, of all processor time")
    for case in CASES:
        pair = [passes(case, pooling, device) for pooling in (Pooling.avg, Pooling.meanstd)]
        for way in pair[0]:
            took = torch.tensor(
                [
                    [[seconds(ways[way], batch) for ways in pair] for batch in batches]
                    for _ in range(options.rounds + 1)
                ]
            )[1:]  # (rounds, batches, avg and meanstd, wall and processor); the first warms up
            avg, meanstd = took[..., 0].flatten(0, 1).amin(0).tolist()
            plain, used = took[..., 1].sum((0, 1)).tolist()
            rates = f"avg {BATCH / avg:6.1f}, meanstd {BATCH / meanstd:6.1f}"
            shares = f"{100 * (meanstd / avg - 1):+.1f}%, {100 * (used / plain - 1):+.1f}%"
            print(f"{case:24} {way:9} {rates}: {shares}", flush=True)


if __name__ == "__main__":
    main()
