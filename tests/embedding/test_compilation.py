"""Batches through the network: compiled, with too little memory, and on a GPU."""

import gc
import logging
import signal
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

import src.embedding.backbone
import src.embedding.compilation
from src.config import Config
from src.config.enums import Accelerator, Compile, Pooling, Precision
from src.embedding.compilation import OpenVino
from src.embedding.extractor import Extractor
from src.errors import UserError
from src.pipeline.embed import embed
from tests.support.embedding import list_gallery
from tests.support.options import changed

pytestmark = pytest.mark.usefixtures("small_squares")
LAYERS = ["layer1", "layer2", "layer3", "layer4"]
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def every_layer(cfg: Config, layers: list[str] = LAYERS) -> dict[str, np.ndarray]:
    cfg = changed(cfg, "backbone", layers=layers)
    return {
        layer: np.array(embed(list_gallery(cfg), changed(cfg, "backbone", layer=layer)).features)
        for layer in layers
    }


def assert_close(
    features: dict[str, np.ndarray], expected: dict[str, np.ndarray], to: float
) -> None:
    """Compare rows, with an error relative to the length of each."""
    for layer in features:
        error = np.linalg.norm(features[layer] - expected[layer], axis=1)
        assert (error <= to * np.linalg.norm(expected[layer], axis=1)).all(), layer


COMPILERS = ["openvino", pytest.param("torch.compile", marks=pytest.mark.slow)]


def compile_by(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a CPU compile as a GPU does, but for the name of the compiler in the facts."""
    if name == "torch.compile":
        by_torch = torch.compile(dynamic=False, options={"freezing": True})
        monkeypatch.setattr(
            src.embedding.backbone, "compiled", lambda extractor, *_: by_torch(extractor)
        )


@pytest.mark.filterwarnings("ignore")  # of what torch.compile loads
@pytest.mark.parametrize("by", COMPILERS)
def test_a_compiled_network_gives_the_same_rows(cfg, caplog, monkeypatch, by):
    """Batches are full, lack an unreadable image, or are the last and not full."""
    caplog.set_level(logging.INFO)
    Path(cfg.data.images, "bea/1.png").write_text("no image")
    plain = every_layer(replace(cfg, outputs=f"{cfg.outputs}-plain"))
    batches = changed(cfg, "data", batch_size=5)
    compiled = changed(batches, "trainer", compile=Compile.always)
    compile_by(by, monkeypatch)
    facts = embed(list_gallery(cfg), changed(compiled, "backbone", layers=LAYERS)).facts
    assert facts["compiler"].startswith("openvino ") and facts["compile_seconds"] > 0
    assert "network compiled in " in caplog.text
    assert_close(every_layer(compiled), plain, to=1e-4)


@pytest.mark.filterwarnings("ignore")  # of what torch.compile loads
@pytest.mark.parametrize("by", COMPILERS)
def test_a_compiled_network_gives_the_same_means_and_standard_deviations(cfg, monkeypatch, by):
    cfg = changed(cfg, "backbone", pooling=Pooling.meanstd)
    plain = every_layer(replace(cfg, outputs=f"{cfg.outputs}-plain"), LAYERS[:3])
    compile_by(by, monkeypatch)
    compiled = changed(cfg, "trainer", compile=Compile.always)
    assert_close(every_layer(compiled, LAYERS[:3]), plain, to=1e-4)


def break_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such operation\nand more")

    monkeypatch.setattr(src.embedding.backbone, "compiled", fail)


def test_a_network_that_cannot_be_compiled_runs_uncompiled(cfg, monkeypatch, caplog):
    break_compiler(monkeypatch)
    monkeypatch.setitem(src.embedding.compilation.MIN_IMAGES, "cpu", 0)
    facts = embed(list_gallery(cfg), cfg).facts
    assert facts["compiler"] is None
    assert "cannot be compiled and runs uncompiled: no such operation" in caplog.text


def test_a_network_that_must_be_compiled_is_refused(cfg, monkeypatch):
    break_compiler(monkeypatch)
    with pytest.raises(
        UserError, match="compile=always: no such operation; auto runs the network uncompiled"
    ):
        embed(list_gallery(cfg), changed(cfg, "trainer", compile=Compile.always))


def limit_memory(monkeypatch: pytest.MonkeyPatch, at_most: int, error: Exception) -> list[int]:
    """Let batches of more than at_most images raise error; return a list of the sizes tried."""
    forward, sizes = Extractor.forward, []

    def tight(self: Extractor, images: torch.Tensor) -> list[torch.Tensor]:
        sizes.append(len(images))
        if len(images) > at_most:
            raise error
        return forward(self, images)

    monkeypatch.setattr(Extractor, "forward", tight)
    return sizes


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_out_of_memory_halves_the_batch(cfg, monkeypatch, caplog, error):
    plain = embed(list_gallery(cfg), replace(cfg, outputs=f"{cfg.outputs}-plain")).features
    sizes = limit_memory(monkeypatch, 3, error)
    features = embed(list_gallery(cfg), changed(cfg, "data", batch_size=10)).features
    np.testing.assert_allclose(features, plain, rtol=1e-5, atol=1e-6)
    assert sizes == [10, 5, 2, 2, 2, 2, 2, 2]
    assert "out of memory on cpu: batch size reduced to 5" in caplog.text
    assert "batch size reduced to 2" in caplog.text


def test_too_little_memory_for_one_image_is_an_error(cfg, monkeypatch):
    limit_memory(monkeypatch, 0, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(UserError, match="too little memory for a single image: choose a smaller"):
        embed(list_gallery(cfg), cfg)


def test_other_errors_of_the_network_are_not_hidden(cfg, monkeypatch):
    limit_memory(monkeypatch, 0, RuntimeError("shapes"))
    with pytest.raises(RuntimeError, match="shapes"):
        embed(list_gallery(cfg), cfg)


def test_half_precision_gives_float32_rows_near_those_of_full_precision(cfg):
    half = changed(cfg, "trainer", precision=Precision["bf16-mixed"])
    assert_close(every_layer(half), every_layer(cfg), to=0.05)


@pytest.mark.gpu
@GPU
@pytest.mark.parametrize(
    ("precision", "compiled", "to"),
    [
        ("32-true", Compile.never, 1e-3),
        ("32-true", Compile.always, 1e-3),
        ("bf16-mixed", Compile.never, 0.05),
        ("16-mixed", Compile.always, 0.02),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of what torch.compile loads
def test_a_gpu_gives_the_same_rows(cfg, precision, compiled, to):
    plain = every_layer(replace(cfg, outputs=f"{cfg.outputs}-plain"))
    options = {"accelerator": Accelerator.gpu, "precision": Precision[precision]}
    features = every_layer(changed(cfg, "trainer", **options, compile=compiled))
    assert_close(features, plain, to=to)


class Mean(nn.Module):
    """A network of one layer: an image's mean color."""

    dims = {"all": 3}

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return (b, 3) for images (b, size, size, 3)."""
        return [images.float().mean((1, 2))]


def compile_and_delete() -> None:
    """As the body of a child: compile two networks, delete them in order, and get a signal."""
    warnings.simplefilter("ignore")  # of what OpenVINO loads
    first, second = (OpenVino(cast(Extractor, Mean().eval()), 32) for _ in range(2))
    del first
    gc.collect()
    del second
    gc.collect()
    signal.signal(signal.SIGCHLD, lambda *_: None)
    subprocess.run(["true"])


def test_signals_work_after_compiled_networks_are_deleted(fork):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    child = fork(compile_and_delete)
    printed, _ = child.communicate()
    assert child.returncode == 0, printed  # -11 where the stack of a dropped core is still in use
