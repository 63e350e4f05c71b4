"""src.run as a command whose process of rank HELD stops before a piece of work until it is killed;
for tests of launchers.

That is tile number TILE of its own, or batch number BATCH. It writes its process id to the file
TOLD. All that is finished is saved at once, and the others notice at once.
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


def held(work: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return what does the work, but for the one piece that the variable names."""
    pieces = count()

    def work_or_stop(*arguments: Any) -> Any:
        """Stop where it is said."""
        own = os.environ.get("LOCAL_RANK", "0") == os.environ["HELD"]
        if own and next(pieces) == int(os.environ.get(name, "-1")):
            Path(os.environ["TOLD"]).write_text(f"{os.getpid()}\n")
            while True:
                signal.pause()
        return work(*arguments)

    return work_or_stop


Centered.tile = held(Centered.tile, "TILE")  # type: ignore[method-assign]
write = held(writer.RowWriter.write_on_batch_end, "BATCH")
writer.RowWriter.write_on_batch_end = write  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(app.command(main))
