"""Compiling the network: by OpenVINO on a CPU, by torch.compile on a GPU.

On a CPU OpenVINO is the faster of the two, needs no C++ compiler, and compiles in a tenth of the
time. Each of its streams processes another image, so that no core waits for another.
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

# Minimum number of images (per core on a CPU, in total on a GPU) for which compilation pays off.
# Measured on two cores: 1 to 20 s, for a ResNet50 2.4 s, and then 0.03 s less per image. The number
# for GPUs is an estimate.
MIN_IMAGES = {"cpu": 100, "cuda": 200_000}


def chosen_compiler(options: Trainer, n: int, device: torch.device) -> str | None:
    """Return the compiler, with its version, for a run over n images on device, or None.

    n counts the whole gallery, so that a resumed run chooses as at its start. Raises UserError if
    trainer.compile=always is impossible.
    """
    threshold = MIN_IMAGES.get(device.type, float("inf"))
    if device.type == "cpu":
        threshold *= max(1, cores(options.devices))
    pays_off = options.compile is Compile.auto and n >= threshold
    if not (options.compile is Compile.always or pays_off):
        return None
    compiler = available_compiler(device)
    reason = None
    if compiler is None and device.type != "cpu":
        reason = f"there is no compiler for {device.type}"
    elif compiler is None:
        reason = "on a CPU it needs the optional dependency openvino: pip install -e .[openvino]"
    elif device.type == "cpu" and options.precision.name != "32-true":
        reason = f"on a CPU it needs trainer.precision=32-true, not {options.precision.name}"
    if reason and options.compile is Compile.always:
        raise UserError(f"trainer.compile=always: {reason}; auto runs the network uncompiled")
    if reason:
        log.info("embedding: the network is not compiled: %s", reason)
    return None if reason else compiler


def available_compiler(device: torch.device) -> str | None:
    """Return the name of the compiler for device, with its version; None if none is installed."""
    if device.type == "cuda":
        return "torch.compile"
    if device.type == "cpu" and find_spec("openvino"):
        return f"openvino {version('openvino')}"
    return None


def compiled(extractor: "Extractor", size: int, device: torch.device) -> Compiled:
    """Compile the extractor for images of size x size pixels.

    Rows agree with the uncompiled ones to a relative 1e-4. On a GPU every new batch size compiles
    again.
    """
    if device.type == "cpu":
        return OpenVino(extractor, size)
    network = torch.compile(extractor, dynamic=False, options={"freezing": True})
    return lambda images: network(
        images
    )  # a module would be registered as a submodule of its owner


@cache
def _core() -> Any:
    """Return the only openvino.Core of the process.

    Each installs an alternate signal stack; destroying several in the order of their creation
    leaves a dangling one.
    """
    import openvino

    return openvino.Core()


class OpenVino:
    """An extractor compiled by OpenVINO: batches of one image, several of them at a time."""

    def __init__(self, extractor: "Extractor", size: int) -> None:
        import openvino
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        image = torch.zeros(1, size, size, 3, dtype=torch.uint8)
        with warnings.catch_warnings():  # tracing warns of every condition, and of its deprecation
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
        """Return for each layer the rows (b, d) float32 of images (b, size, size, 3) uint8."""
        features = [np.empty((len(images), dim), np.float32) for dim in self._dims]

        def store(request: Any, row: int) -> None:
            """Copy the rows of a finished image before its memory is reused."""
            for number, rows in enumerate(features):
                rows[row] = request.get_output_tensor(number).data[0]

        self._queue.set_callback(store)
        pixels = images.numpy()
        for row in range(len(pixels)):
            self._queue.start_async({0: pixels[row : row + 1]}, row)
        self._queue.wait_all()
        return [torch.from_numpy(rows) for rows in features]
