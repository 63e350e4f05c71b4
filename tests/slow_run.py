"""src.run slowed down, and what is finished saved at once: for tests that kill it.

Each tile that is computed is a line of the file that TILES names, and each batch that is embedded
one of BATCHES; each takes SLOW milliseconds where its file is named.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src import cli, matrix, resume, rows, spread
from src.run import main
from src.tiles import Centered

spread.BEAT, resume.SECONDS, matrix.SECONDS, rows.SECONDS = 0.5, 0.2, 0.2, 0.2


def slowed(work: Callable[..., Any], name: str) -> Callable[..., Any]:
    def slowly(*arguments: Any) -> Any:
        if name in os.environ:
            time.sleep(float(os.environ["SLOW"]) / 1000)
            with Path(os.environ[name]).open("a") as file:
                file.write("one\n")
        return work(*arguments)

    return slowly


Centered.tile = slowed(Centered.tile, "TILES")  # type: ignore[method-assign]
write = slowed(rows.RowWriter.write_on_batch_end, "BATCHES")
rows.RowWriter.write_on_batch_end = write  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(cli.command(main))
