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
            from src.leaderboard.comparison import compare
            from src.leaderboard.export import write_leaderboard
            from src.leaderboard.runs import read_runs

            board = compare(read_runs([cls.folder]), None)
            write_leaderboard(board, cls.folder)
            if board.runs:
                from src.reporting.tracking import track_sweep

                track_sweep(board.table, cls.tracking, cls.folder)
