"""src.run with comparing slowed down, and what is finished saved at once: for tests that kill it.

Each tile that is computed is a line of the file that TILES names; each takes SLOW milliseconds.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from src import cli, matrix, resume, spread
from src.run import main
from src.tiles import Centered

spread.BEAT, resume.SECONDS, matrix.SECONDS = 0.5, 0.2, 0.2
tile = Centered.tile


def slowly(self: Centered, *where: Any) -> Any:
    time.sleep(float(os.environ["SLOW"]) / 1000)
    with Path(os.environ["TILES"]).open("a") as file:
        file.write(f"{where}\n")
    return tile(self, *where)


Centered.tile = slowly  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(cli.command(main))
