"""Worker processes of a run that Slurm sends a signal to."""

import os
import signal
import sys
from typing import Any

import pytest

from src.config import Config
from src.embedding.dataset import PaintingsDataset
from src.gallery import Gallery
from src.pipeline.embed import embed
from tests.support.options import changed


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_workers_ignore_the_signals_that_slurm_sends_to_all_processes(
    number: signal.Signals,
    cfg: Config,
    gallery: Gallery,
    small_squares: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, main_process = PaintingsDataset.__getitem__, os.getpid()

    def read_signaled(self: PaintingsDataset, row: int) -> Any:
        """Read the image of a row in a worker that gets the signal."""
        assert os.getpid() != main_process
        os.kill(os.getpid(), number)
        return read(self, row)

    monkeypatch.setattr(PaintingsDataset, "__getitem__", read_signaled)
    previous = signal.signal(number, lambda *_: sys.exit(1))  # as submitit and Lightning do
    try:
        features = embed(gallery, changed(cfg, "data", workers=1)).features
    finally:
        signal.signal(number, previous)
    assert len(features) == 12
