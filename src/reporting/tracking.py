"""Experiment tracking: wandb and TensorBoard. What goes to them goes through this file, which
imports them where they are on: each takes a second."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from src.config import Config, Tracking
from src.config.enums import WandbMode
from src.errors import UserError
from src.gallery import Gallery
from src.reporting.contact_sheets import thumbnail

if TYPE_CHECKING:
    import wandb
    from torch import Tensor
    from torch.utils.tensorboard import SummaryWriter


class Tracker:
    """Sends a run's numbers and pictures to the trackers that are on."""

    def __init__(
        self,
        cfg: Config,
        folder: Path,
        wandb_run: "wandb.Run | None",
        board: "SummaryWriter | None",
    ):
        self.cfg, self.folder, self.settings = cfg, folder, dict(flat(cfg))
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
            self.board.add_text("options", _as_table(["option", "value"], self.settings.items()))
            from torch.utils.tensorboard.summary import hparams

            # The first, of all runs, would say which columns there are; src.dashboard does that.
            _, *session = hparams(self.settings, numbers)
            for summary in session:
                assert self.board.file_writer is not None
                self.board.file_writer.add_summary(summary)

    def pictures(self, files: dict[str, Path]) -> None:
        """Pictures that the run has written, by name."""
        if self.wandb_run:
            import wandb

            self.wandb_run.log({name: wandb.Image(str(path)) for name, path in files.items()})
        if self.board:
            for name, path in files.items():
                with Image.open(path) as image:
                    self.board.add_image(name, np.asarray(image.convert("RGB")), dataformats="HWC")

    def distributions(self, values: dict[str, NDArray[Any]]) -> None:
        """Histograms."""
        if self.wandb_run:
            import wandb

            self.wandb_run.log({k: wandb.Histogram(v.tolist()) for k, v in values.items()})
        if self.board:
            for name, scores in values.items():
                self.board.add_histogram(name, scores)

    def hubs(self, gallery: Gallery) -> None:
        """hubs.csv as a table; wandb's has the images."""
        hubs = pd.read_csv(
            self.folder / "hubs.csv",
            dtype={"file": str},
            keep_default_na=False,  # a file may be called NA
            encoding_errors="surrogateescape",
        )
        if self.wandb_run:
            import wandb

            images = [wandb.Image(thumbnail(gallery.root / file, 128)) for file in hubs["file"]]
            shown = wandb.Table(["image", "file", "neighbor_of"])
            for image, line in zip(images, hubs.to_numpy().tolist(), strict=True):
                shown.add_data(image, utf8(line[0]), line[1])
            self.wandb_run.log({"hubs": shown})
        if self.board:
            self.board.add_text(
                "hubs", _as_table(["file", "neighbor_of"], hubs.to_numpy().tolist())
            )

    def points(self, features: "Tensor", gallery: Gallery) -> None:
        """A sample of the features (n, d) for TensorBoard's Embedding Projector."""
        if self.board:
            from src.reporting.projector import write_projection

            write_projection(features, gallery, self.cfg.seed, self.folder, self.cfg.backbone.layer)


@contextmanager
def tracking(cfg: Config, folder: Path) -> Iterator[Tracker]:
    """The trackers of a run, closed at its end, however it ends. Raises UserError without a key.

    They start before the work, so that a missing key does not cost an hour; and they end with the
    job because a sweep's jobs share a process.
    """
    sweep = folder.parent if (folder.parent / "multirun.yaml").is_file() else None
    with ExitStack() as open_ones:
        run = open_ones.enter_context(_wandb_run(cfg.tracking, folder, dict(flat(cfg)), sweep))
        board = None
        if cfg.tracking.tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            board = open_ones.enter_context(SummaryWriter(str(folder)))
        yield Tracker(cfg, folder, run, board)


def track_sweep(table: pd.DataFrame, options: Tracking, folder: Path) -> None:
    """A sweep's leaderboard as a table of wandb's, in a run of its own in the sweep's group."""
    with _wandb_run(options, folder, {}, folder) as run:
        if run:
            import wandb

            shown = table.astype(object).where(table.notna(), None)
            run.log({"leaderboard": wandb.Table(dataframe=shown, allow_mixed_types=True)})


@contextmanager
def _wandb_run(
    options: Tracking, folder: Path, settings: dict[str, Any], sweep: Path | None
) -> Iterator["wandb.Run | None"]:
    """A run of wandb's, none where it is off; ended with the block, with 1 where that failed."""
    if options.wandb is WandbMode.off:
        yield None
        return
    before = os.environ.get("WANDB_DATA_DIR")
    # tables wait there to be sent; by default somewhere else in the user's home, for good
    os.environ["WANDB_DATA_DIR"] = before or str(folder.resolve() / "wandb" / "data")
    try:
        run, failed = _start_wandb(options, folder, settings, sweep), 1
        try:
            yield run
            failed = 0
        finally:
            run.finish(exit_code=failed)
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]


def _start_wandb(
    options: Tracking, folder: Path, settings: dict[str, Any], sweep: Path | None
) -> "wandb.Run":
    import wandb

    quiet = wandb.Settings(silent=True, console="off", disable_git=True, init_timeout=60)
    try:
        return wandb.init(
            project=options.project,
            mode=options.wandb.value,  # type: ignore[arg-type]
            dir=folder,
            name="/".join(folder.parts[-2:]),
            group="/".join(sweep.parts[-2:]) if sweep else None,
            job_type="leaderboard" if folder == sweep else "run",
            config=settings,
            settings=quiet,
        )
    except wandb.errors.Error as error:
        first = str(error).splitlines()[0]
        raise UserError(
            f"tracking=online: {first} Set WANDB_API_KEY or run `wandb login`; tracking=local needs"
            " no account, and `wandb sync` sends its runs later"
        ) from error


def flat(options: Any, prefix: str = "") -> Iterator[tuple[str, str | float | bool]]:
    """A dataclass of options as dotted names and plain values; text where null is one of them, so
    that an option is of one kind in all runs."""
    hints = get_type_hints(type(options))
    for name in (field.name for field in fields(options)):
        value, whole = getattr(options, name), f"{prefix}{name}"
        if is_dataclass(value):
            yield from flat(value, f"{whole}.")
        elif isinstance(value, Enum):
            yield whole, value.name
        elif isinstance(value, str | float | int) and NoneType not in get_args(hints[name]):
            yield whole, value
        else:
            yield whole, str(value)


def _as_table(heads: list[str], lines: Iterable[Iterable[Any]]) -> str:
    """Markdown."""
    rows = [heads, ["-"] * len(heads), *lines]
    return "\n".join(f"|{'|'.join(utf8(str(cell)) for cell in row)}|" for row in rows)


def utf8(text: str) -> str:
    """text as UTF-8 can hold it: the bytes of odd file names are replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
