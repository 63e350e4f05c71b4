"""The end of a sweep."""

from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class Sweep(Callback):
    """Compares the runs of a sweep at its end, whatever became of them; Hydra calls its start."""

    folder: ClassVar[Path | None] = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Keep where the runs will lie: no callback is called at the end, once a job has failed."""
        if config.hydra.job.name == "run":
            Sweep.folder = Path(config.hydra.sweep.dir)

    @classmethod
    def compare(cls) -> None:
        """Print the leaderboard of the sweep that there was, if any."""
        if cls.folder is not None and any(cls.folder.glob("*/.hydra/config.yaml")):
            from src.leaderboard import write
            from src.runs import read

            print(write(read([cls.folder]), None, cls.folder))
