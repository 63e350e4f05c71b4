"""The end of a sweep."""

from pathlib import Path
from typing import Any, ClassVar, cast

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from src.config import Tracking


class Sweep(Callback):
    """Compares the runs of a sweep at its end, whatever became of them; Hydra calls its start."""

    folder: ClassVar[Path | None] = None
    tracking: ClassVar[Tracking]

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Keep where the runs will lie: no callback is called at the end, once a job has failed."""
        if config.hydra.job.name == "run":
            Sweep.folder = Path(config.hydra.sweep.dir)
            Sweep.tracking = cast(Tracking, OmegaConf.to_object(config.tracking))

    @classmethod
    def compare(cls) -> None:
        """Print the leaderboard of the sweep that there was, if any."""
        if cls.folder is not None and any(cls.folder.glob("*/.hydra/config.yaml")):
            from src.board import compare
            from src.leaderboard import write
            from src.runs import read

            board = compare(read([cls.folder]), None)
            write(board, cls.folder)
            if board.runs:
                from src.track import track_sweep

                track_sweep(board.table, cls.tracking, cls.folder)
