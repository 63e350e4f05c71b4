"""Experiment tracking: wandb and TensorBoard. The only file that imports a tracker."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import wandb
from numpy.typing import NDArray
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from src.checks import UserError
from src.choices import WandbMode
from src.config import Config

log = logging.getLogger(__name__)


class Tracker:
    """Sends a run's numbers and pictures to the trackers that are on."""

    def __init__(self, cfg: Config, wandb_run: "wandb.Run | None", board: SummaryWriter | None):
        self.settings = dict(flat(asdict(cfg)))
        self.wandb_run, self.board = wandb_run, board

    def metrics(self, metrics: dict[str, Any]) -> None:
        """Every metric under its name in metrics.json, beside the settings."""
        numbers = {k: v for k, v in metrics.items() if isinstance(v, int | float)}
        if self.wandb_run:
            self.wandb_run.log(numbers)
            self.wandb_run.summary.update(metrics)
        if self.board:
            for name, value in numbers.items():
                self.board.add_scalar(name, value)
            self.board.add_text("options", _as_table(self.settings))
            for summary in hparams(self.settings, numbers):
                assert self.board.file_writer is not None
                self.board.file_writer.add_summary(summary)

    def pictures(self, files: dict[str, Path]) -> None:
        """Pictures that the run has written, by name."""
        if self.wandb_run:
            self.wandb_run.log({name: wandb.Image(str(path)) for name, path in files.items()})
        if self.board:
            for name, path in files.items():
                with Image.open(path) as image:
                    self.board.add_image(name, np.asarray(image.convert("RGB")), dataformats="HWC")

    def distributions(self, values: dict[str, NDArray[np.float32]]) -> None:
        """Histograms of scores."""
        if self.wandb_run:
            self.wandb_run.log({k: wandb.Histogram(v.tolist()) for k, v in values.items()})
        if self.board:
            for name, scores in values.items():
                self.board.add_histogram(name, scores)


@contextmanager
def tracking(cfg: Config, folder: Path) -> Iterator[Tracker]:
    """The trackers of a run, closed at its end, however it ends. Raises UserError without a key.

    They start before the work, so that a missing key does not cost an hour; and they end with the
    job because a sweep's jobs share a process.
    """
    wandb_run = None if cfg.tracking.wandb is WandbMode.off else _start_wandb(cfg, folder)
    board = SummaryWriter(str(folder)) if cfg.tracking.tensorboard else None
    failed = 1
    try:
        yield Tracker(cfg, wandb_run, board)
        failed = 0
    finally:
        if board:
            board.close()
        if wandb_run:
            wandb_run.finish(exit_code=failed)


def _start_wandb(cfg: Config, folder: Path) -> "wandb.Run":
    quiet = wandb.Settings(silent=True, console="off", disable_git=True, init_timeout=60)
    try:
        return wandb.init(
            project=cfg.tracking.project,
            mode=cfg.tracking.wandb.value,  # type: ignore[arg-type]
            dir=folder,
            name="/".join(folder.parts[-2:]),
            config=dict(flat(asdict(cfg))),
            settings=quiet,
        )
    except wandb.errors.Error as error:
        first = str(error).splitlines()[0]
        raise UserError(
            f"tracking=online: {first} Set WANDB_API_KEY or run `wandb login`; tracking=local needs"
            " no account, and `wandb sync` sends its runs later"
        ) from error


def flat(options: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str | float | bool]]:
    """Nested options as dotted names and plain values."""
    for name, value in options.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, Enum):
            yield f"{prefix}{name}", value.name
        else:
            plain = isinstance(value, str | float | bool | int)
            yield f"{prefix}{name}", value if plain else str(value)


def _as_table(options: dict[str, Any]) -> str:
    return "\n".join(["|option|value|", "|-|-|"] + [f"|{k}|{v}|" for k, v in options.items()])
