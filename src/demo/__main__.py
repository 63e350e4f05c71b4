"""Serve the demo museum:  python -m src.demo [--port PORT]"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from src.config.validation import path_argument
from src.demo.server import open_museum
from src.runtime.streams import print_error, run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; return the exit code."""
    parser = argparse.ArgumentParser(
        "python -m src.demo", description="Serve the demo museum on localhost."
    )
    parser.add_argument("--port", type=int, default=8064, help="0 = any free port (default: 8064)")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the drawn paintings (default: 0)"
    )
    parser.add_argument(
        "--outputs",
        type=path_argument,
        default=Path("outputs"),
        help="the paintings are in its folder demo (default: outputs)",
    )
    options = parser.parse_args(arguments)
    try:
        museum = open_museum(options.outputs / "demo", options.seed, options.port)
    except (OSError, OverflowError) as error:
        print_error(f"cannot serve on port {options.port}: {error}")
        return 2
    with museum:
        print(f"{len(museum.files)} paintings at {museum.address}; press Ctrl-C to stop. Try:")
        print(f"  python -m src.download data.tables={museum.address}/data", flush=True)
        try:
            museum.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
