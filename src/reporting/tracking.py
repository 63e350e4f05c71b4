"""Experiment tracking with wandb and TensorBoard.

Each takes a second to import, so a tracker is imported only if it is enabled.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from src.config import Config, Tracking
from src.config.overrides import MULTIRUN
from src.gallery import Gallery
from src.reporting.contact_sheets import thumbnail
from src.reporting.run_folder import RunFolder
from src.reporting.settings import PRIVATE, tracked_options
from src.reporting.text import as_utf8, markdown_table
from src.reporting.wandb_runs import wandb_run

if TYPE_CHECKING:
    import wandb
    from torch import Tensor
    from torch.utils.tensorboard import SummaryWriter


log = logging.getLogger(__name__)


class Tracker:
    """Sends the numbers and pictures of a run to the enabled trackers."""

    def __init__(
        self,
        cfg: Config,
        folder: Path,
        wandb_run: "wandb.Run | None",
        board: "SummaryWriter | None",
    ):
        self.cfg, self.folder, self.settings = cfg, folder, tracked_options(cfg)
        self.wandb_run, self.board = wandb_run, board

    def metrics(self, metrics: dict[str, Any]) -> None:
        """Log every metric under its name in metrics.json, and the settings."""
        numbers = {k: v for k, v in metrics.items() if isinstance(v, int | float)}
        if self.wandb_run:
            self.wandb_run.log(numbers)
            texts = {k: as_utf8(v) for k, v in metrics.items() if isinstance(v, str)}
            self.wandb_run.summary.update(metrics | texts)
        if self.board:
            for name, value in numbers.items():
                self.board.add_scalar(name, value)
            self._table("options", ["option", "value"], [*self.settings.items()])
            from torch.utils.tensorboard.summary import hparams

            # the first summary defines the columns for all runs, which src.dashboard does
            _, *session = hparams(self.settings, numbers)
            for summary in session:
                assert self.board.file_writer is not None
                self.board.file_writer.add_summary(summary)

    def pictures(self, files: dict[str, Path]) -> None:
        """Log the pictures of the run, by name."""
        if self.wandb_run:
            import wandb

            self.wandb_run.log({name: wandb.Image(str(path)) for name, path in files.items()})
        if self.board:
            for name, path in files.items():
                with Image.open(path) as image:
                    self.board.add_image(name, np.asarray(image.convert("RGB")), dataformats="HWC")

    def distributions(self, values: dict[str, NDArray[Any]]) -> None:
        """Log histograms of arrays (m,), by name."""
        if self.wandb_run:
            import wandb

            self.wandb_run.log({k: wandb.Histogram(v.tolist()) for k, v in values.items()})
        if self.board:
            for name, scores in values.items():
                self.board.add_histogram(name, scores)

    def hubs(self, gallery: Gallery) -> None:
        """Log hubs.csv as a table, in wandb with the images."""
        hubs = RunFolder(self.folder).hubs(self.cfg.escape_formulas)
        rows = hubs.to_numpy().tolist()
        if self.wandb_run:
            import wandb

            heads = ["image"] if gallery.has_pictures else []
            table = wandb.Table([*heads, "file", "neighbor_of"])
            for file, count in rows:
                image = [wandb.Image(thumbnail(gallery.root / file, 128)) for _ in heads]
                table.add_data(*image, as_utf8(file), count)
            self.wandb_run.log({"hubs": table})
        if self.board:
            self._table("hubs", ["file", "neighbor_of"], rows)

    def points(self, features: "Tensor", gallery: Gallery) -> None:
        """Write a sample of the features (n, d) for TensorBoard's Embedding Projector."""
        if self.board:
            from src.reporting.projector import write_projection

            write_projection(features, gallery, self.cfg.seed, self.folder, self.cfg.backbone.layer)

    def _table(self, name: str, heads: list[str], rows: list[Any]) -> None:
        """Add a table to TensorBoard's texts."""
        assert self.board is not None
        cells = [[as_utf8(str(cell)) for cell in row] for row in rows]
        self.board.add_text(name, markdown_table(heads, cells))


@contextmanager
def tracking(cfg: Config, folder: Path) -> Iterator[Tracker]:
    """Start the trackers of a run, and close them at its end, however it ends.

    A sweep's jobs share a process, so trackers must not outlive their job. Raises UserError if
    wandb is online and has no key.
    """
    sweep = next((above for above in folder.parents if (above / MULTIRUN).is_file()), None)
    with ExitStack() as stack:
        run = stack.enter_context(wandb_run(cfg.tracking, folder, tracked_options(cfg), sweep))
        board = None
        if cfg.tracking.tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            board = stack.enter_context(SummaryWriter(str(folder)))
        yield Tracker(cfg, folder, run, board)


def track_results(
    tracker: Tracker,
    metrics: dict[str, Any],
    pictures: dict[str, Path],
    gallery: Gallery,
    features: "Tensor",
    scores: NDArray[np.float32],
) -> None:
    """Send the results of a run to its trackers.

    features is (n, d) and scores (n, k), the cosines of each image's neighbors.
    """
    if tracker.wandb_run or tracker.board:
        log.info("tracking: writing the results for the trackers")
    tracker.metrics(metrics)
    tracker.pictures(pictures)
    tracker.distributions({"neighbor_scores": scores.ravel()})
    tracker.hubs(gallery)
    tracker.points(features, gallery)


def track_sweep(table: pd.DataFrame, options: Tracking, folder: Path) -> None:
    """Log the leaderboard of a sweep in a separate wandb run, in the sweep's group."""
    with wandb_run(options, folder, {}, folder) as run:
        if run:
            import wandb

            table = table.drop(columns=PRIVATE, errors="ignore")
            nullable = table.astype(object).where(table.notna(), None)
            run.log({"leaderboard": wandb.Table(dataframe=nullable, allow_mixed_types=True)})
