"""src.run as a command in which one rank stops and waits to be killed, for tests of launchers.

The rank is HELD, an environment variable like the others. It stops before its tile number TILE or
its batch number BATCH, and writes its process id to PID_FILE; where this file exists, as when Slurm
starts a job again, no process stops. Finished work is saved at once, and the other ranks notice its
death at once. PID_FILE.TILE and PID_FILE.BATCH get a byte for each call that was finished.
"""

import os
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

from src.cli import app
from src.embedding import writer
from src.run import main
from src.runtime import processes
from src.similarity import checkpoint, tile_writer
from src.similarity.centering import Centered

processes.HEARTBEAT_SECONDS = writer.FLUSH_SECONDS = tile_writer.SYNC_SECONDS = (
    checkpoint.SAVE_SECONDS
) = checkpoint.SAVE_COST_RATIO = 0


def held(work: Callable[..., Any], variable: str) -> Callable[..., Any]:
    """Return work, but stopping before the call whose number the environment variable gives."""
    calls = count()

    def work_or_stop(*arguments: Any) -> Any:
        """Work; the held rank stops at its call and waits to be killed."""
        rank = os.environ.get("SLURM_PROCID", os.environ.get("LOCAL_RANK", "0"))
        pid_file, call = Path(os.environ["PID_FILE"]), int(os.environ.get(variable, "-1"))
        if rank == os.environ["HELD"] and next(calls) == call and not pid_file.exists():
            pid_file.write_text(f"{os.getpid()}\n")
            while True:  # a signal that another thread gets would not end signal.pause()
                time.sleep(0.1)
        result = work(*arguments)
        with Path(f"{pid_file}.{variable}").open("a") as finished:
            finished.write(".")
        return result

    return work_or_stop


Centered.tile = held(Centered.tile, "TILE")  # type: ignore[method-assign]
write = held(writer.RowWriter.write_on_batch_end, "BATCH")
writer.RowWriter.write_on_batch_end = write  # type: ignore[method-assign]


class Held(Callback):
    """Does nothing: as one of hydra.callbacks it makes the jobs of a sweep import this module."""


if __name__ == "__main__":
    sys.exit(app.command(main))
