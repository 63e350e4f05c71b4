"""The stage embed: its rows equal torchvision's, one image at a time; refusals, facts and log."""

import re
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from src.config import Config
from src.config.enums import Accelerator, Precision
from src.embedding.backbone import BackboneModule
from src.embedding.callbacks import ExitOnSigterm
from src.embedding.dataset import Batch, GalleryDataModule, collate
from src.embedding.row_files import DoneRows, create_rows
from src.embedding.writer import RowWriter, open_writer
from src.errors import UserError
from src.gallery import Gallery
from src.pipeline.embed import embed
from tests.support.embedding import reference
from tests.support.options import changed

pytestmark = pytest.mark.usefixtures("small_squares")


# Python 3.12 warns of any fork of a process that has threads
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_rows_equal_one_image_at_a_time(
    cfg: Config, gallery: Gallery, batch_size: int, workers: int
) -> None:
    embeddings = embed(gallery, changed(cfg, "data", batch_size=batch_size, workers=workers))
    features = np.load(embeddings.folder / "features.npy")
    assert (features.dtype, features.shape) == (np.float32, (12, 64))
    np.testing.assert_allclose(features, reference(gallery), rtol=1e-5, atol=1e-5)
    assert np.load(embeddings.folder / "image_names.npy").tolist() == gallery.files
    assert embeddings.gallery.files == gallery.files
    assert np.array_equal(embeddings.features, features)


def test_batches_may_arrive_in_any_order(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = [int(row) for row in np.random.default_rng(0).permutation(12)]

    def shuffled(self: GalleryDataModule) -> DataLoader[Any]:
        assert sorted(order) == self.rows
        return DataLoader(self.dataset, batch_size=5, sampler=order, collate_fn=collate)

    monkeypatch.setattr(GalleryDataModule, "predict_dataloader", shuffled)
    np.testing.assert_allclose(embed(gallery, cfg).features, reference(gallery), atol=1e-5)


def test_the_writer_writes_the_rows_that_the_batch_names(tmp_path: Path) -> None:
    rows = torch.arange(12.0).reshape(4, 3)
    create_rows(tmp_path, 4, {"a": 3, "b": 1})
    with open_writer([(tmp_path, ["a", "b"])], list("abcd")) as writer:
        for batch in (Batch(rows, [3, 0, 1], []), Batch(rows, [], [(2, "why")])):
            values = rows[batch.rows]
            both = [values, values[:, :1]]
            writer.write_on_batch_end(None, None, both, None, batch, 0, 0)
    for layer, width in (("a", 3), ("b", 1)):
        written = np.load(tmp_path / layer / "features.npy")
        assert written[[0, 1, 3]].tolist() == rows[[0, 1, 3], :width].tolist()
    finished = DoneRows(tmp_path)
    assert (finished.rows, finished.unreadable) == ({0, 1, 2, 3}, {2: "why"})


def test_a_line_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    DoneRows(tmp_path).append([0, 1], [(2, "why")])
    with (tmp_path / "done-0.jsonl").open("a") as file:
        file.write('{"rows": [3, 4')
    DoneRows(tmp_path, 1).append([5], [])
    DoneRows(tmp_path, 0).append([6], [])
    assert DoneRows(tmp_path).rows == {0, 1, 2, 5, 6}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_names_the_image(
    cfg: Config, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    def spoiled(self: BackboneModule, batch: Batch) -> list[Tensor]:
        factors = [[value if row == 7 else 1.0] for row in batch.rows]
        return [rows * torch.tensor(factors) for rows in self(batch.images)]

    monkeypatch.setattr(BackboneModule, "predict_step", spoiled)
    with pytest.raises(UserError, match="embedding of bea/3.png holds NaN or infinity: try"):
        embed(gallery, changed(cfg, "data", batch_size=5))


@pytest.mark.parametrize(
    ("accelerator", "available"),
    [
        (Accelerator.gpu, torch.cuda.is_available()),
        (Accelerator.mps, torch.backends.mps.is_available()),
    ],
)
def test_a_device_that_the_machine_lacks_is_refused(
    cfg: Config, gallery: Gallery, accelerator: Accelerator, available: bool
) -> None:
    if available:
        pytest.skip(f"this machine has {accelerator.name}")
    message = f"trainer.accelerator={accelerator.name}: torch .* finds no such device; use auto"
    with pytest.raises(UserError, match=message):
        embed(gallery, changed(cfg, "trainer", accelerator=accelerator))


def test_float16_on_a_cpu_is_refused(cfg, gallery):
    halves = changed(cfg, "trainer", precision=Precision["16-mixed"])
    with pytest.raises(UserError, match="16-mixed needs a GPU; use bf16-mixed on a CPU"):
        embed(gallery, halves)
    assert not Path(cfg.outputs, "embeddings").exists()


def test_facts_describe_the_pass(cfg: Config, gallery: Gallery) -> None:
    facts = embed(gallery, cfg).facts
    assert 0 < facts.pop("waiting_for_data") < 1
    rate, seconds = facts.pop("images_per_second"), facts.pop("embed_seconds")
    assert rate == pytest.approx(12 / seconds)
    assert facts == {
        "weights": "random (seed 0)",
        "precision": "32-true",
        "compiler": None,
        "compile_seconds": 0.0,
        "idle_gpu": False,
        "resumed_rows": 0,
        "copied_rows": 0,
        "embedded_rows": 12,
        "reused_embeddings": False,
        "device": "cpu",
        "processes": 1,
        "images": 12,
        "skipped": 0,
    }


def test_the_log_reports_the_pass_and_nothing_else_is_printed(
    cfg: Config,
    gallery: Gallery,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("INFO")
    embed(gallery, cfg)
    assert caplog.messages == [
        "the network has random weights: it has learned nothing",
        "embedding: 12 images on cpu, layers layer1",
        caplog.messages[-1],
    ]
    rate = (
        r"embedding: \d+\.\d images/s, \d+% of the time waiting for data;"
        r" cpu, 32-true, not compiled, \d\.\d GB"
    )
    assert re.fullmatch(rate, caplog.messages[-1])
    out, err = capfd.readouterr()
    assert out == ""
    assert all(line.startswith("embedding") for line in err.replace("\r", "\n").split())


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
def test_embedding_restores_the_handler_of_sigterm(cfg, gallery, error, monkeypatch):
    def handler(*_: object) -> None: ...

    def fail(*_: object) -> None:
        assert signal.getsignal(signal.SIGTERM) is not handler
        raise error

    if error:
        monkeypatch.setattr(RowWriter, "write_on_batch_end", fail)
    original = signal.signal(signal.SIGTERM, handler)
    try:
        with pytest.raises(error) if error else nullcontext():
            embed(gallery, cfg)
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, original)


def test_the_callback_alone_restores_the_handler_of_sigterm():
    original = signal.getsignal(signal.SIGTERM)
    with ExitOnSigterm() as callback:
        callback.on_predict_start()
        assert signal.getsignal(signal.SIGTERM) is not original
    assert signal.getsignal(signal.SIGTERM) is original
