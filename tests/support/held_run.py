"""src.run as a command in which one rank stops and waits to be killed, for tests of launchers.

The rank is HELD, an environment variable like the others. It stops before its tile number TILE or
its batch number BATCH, and writes its process id to PID_FILE. Finished work is saved at once,
and the other ranks notice its death at once.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from src.cli import app
from src.embedding import writer
from src.run import main
from src.runtime import processes
from src.similarity import checkpoint, matrix
from src.similarity.centering import Centered

processes.HEARTBEAT_SECONDS = writer.FLUSH_SECONDS = matrix.SYNC_SECONDS = (
    checkpoint.SAVE_SECONDS
) = checkpoint.SAVE_COST_RATIO = 0


def held(work: Callable[..., Any], variable: str) -> Callable[..., Any]:
    """Return work, but stopping before the call whose number the environment variable gives."""
    calls = count()

    def work_or_stop(*arguments: Any) -> Any:
        """Work; the held rank stops at its call and waits to be killed."""
        is_held = os.environ.get("LOCAL_RANK", "0") == os.environ["HELD"]
        if is_held and next(calls) == int(os.environ.get(variable, "-1")):
            Path(os.environ["PID_FILE"]).write_text(f"{os.getpid()}\n")
            while True:
                signal.pause()
        return work(*arguments)

    return work_or_stop


Centered.tile = held(Centered.tile, "TILE")  # type: ignore[method-assign]
write = held(writer.RowWriter.write_on_batch_end, "BATCH")
writer.RowWriter.write_on_batch_end = write  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(app.command(main))
