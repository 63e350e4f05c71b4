"""The network compiled: by OpenVINO on a CPU, by torch.compile on a GPU.

On a CPU OpenVINO is the faster of the two, needs no C++ compiler, and compiles in a tenth of the
time; each of its streams works on an image of its own, so that no core waits for another.
"""

import logging
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from src.config import Trainer
from src.config.enums import Compile
from src.errors import UserError
from src.runtime.devices import cores

if TYPE_CHECKING:
    from src.embedding.extractor import Extractor

log = logging.getLogger(__name__)

Compiled = Callable[[Tensor], list[Tensor]]


def compiler(device: torch.device) -> str | None:
    """What compiles for the device, with its version; None where that is not installed."""
    if device.type == "cuda":
        return "torch.compile"
    if device.type == "cpu" and find_spec("openvino"):
        return f"openvino {version('openvino')}"
    return None


def compiled(extractor: "Extractor", size: int, device: torch.device) -> Compiled:
    """The same rows to 1e-4. On a GPU it compiles anew for each number of images."""
    if device.type == "cpu":
        return OpenVino(extractor, size)
    return torch.compile(extractor, dynamic=False, options={"freezing": True})


@cache
def _core() -> Any:
    """One for the process: each replaces the stack on which signals are handled, and when several
    end in the order of their making, a stack is left that is not there any more."""
    import openvino

    return openvino.Core()


class OpenVino:
    """An extractor that OpenVINO has compiled: images go through one by one, several at a time."""

    def __init__(self, extractor: "Extractor", size: int) -> None:
        import openvino
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        image = torch.zeros(1, size, size, 3, dtype=torch.uint8)
        with warnings.catch_warnings():  # tracing warns of every condition, and of itself
            warnings.simplefilter("ignore")
            # openvino.convert_model does the same, but may send usage data
            traced = TorchScriptPythonDecoder(extractor, example_input=(image,))
            frontend = FrontEndManager().load_by_framework("pytorch")
            model = frontend.convert(frontend.load(traced))
        model.reshape(list(image.shape))
        options = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        self._queue: Any = openvino.AsyncInferQueue(_core().compile_model(model, "CPU", options))
        self._dims = list(extractor.dims.values())

    def __call__(self, images: Tensor) -> list[Tensor]:
        """(b, size, size, 3) uint8 -> for each layer (b, d) float32."""
        rows = [np.empty((len(images), dim), np.float32) for dim in self._dims]

        def take(request: Any, at: int) -> None:
            """Keep the rows of an image that is through, before its memory serves another."""
            for number, layer in enumerate(rows):
                layer[at] = request.get_output_tensor(number).data[0]

        self._queue.set_callback(take)
        pixels = images.numpy()
        for at in range(len(pixels)):
            self._queue.start_async({0: pixels[at : at + 1]}, at)
        self._queue.wait_all()
        return [torch.from_numpy(layer) for layer in rows]


# Images per core (CPU) or in all (GPU) from which compiling is repaid. Measured on two cores: 1 to
# 20 s, for a ResNet50 2.4 s, and then 0.03 s less an image. No GPU was at hand.
REPAID = {"cpu": 100, "cuda": 200_000}


def chosen_compiler(options: Trainer, n: int, device: torch.device) -> str | None:
    """What compiles the network of a run over n images, None for nothing. Raises UserError.

    n is that of the whole gallery, so that a run that was stopped goes on as it began.
    """
    least = REPAID.get(device.type, float("inf"))
    if device.type == "cpu":
        least *= max(1, cores(options.devices))
    wanted = options.compile is Compile.always or (options.compile is Compile.auto and n >= least)
    if not wanted:
        return None
    found = compiler(device)
    reason = None
    if found is None and device.type != "cpu":
        reason = f"there is none for {device.type}"
    elif found is None:
        reason = f"for {device.type} that takes the extra openvino: pip install -e .[openvino]"
    elif device.type == "cpu" and options.precision.name != "32-true":
        reason = f"on a CPU that is for trainer.precision=32-true, not {options.precision.name}"
    if reason and options.compile is Compile.always:
        raise UserError(f"trainer.compile=always: {reason}; auto goes without")
    if reason:
        log.info("embedding: the network is not compiled; %s", reason)
    return None if reason else found
