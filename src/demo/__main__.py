"""Serve the demo museum:  python -m src.demo [--port PORT]"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from src.demo.server import open_museum


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser("python -m src.demo", description="a tiny museum on localhost")
    parser.add_argument("--port", type=int, default=8064)
    parser.add_argument("--seed", type=int, default=0, help="of the paintings")
    parser.add_argument(
        "--outputs", type=Path, default=Path("outputs"), help="where they are drawn"
    )
    options = parser.parse_args(arguments)
    try:
        museum = open_museum(options.outputs / "demo", options.seed, options.port)
    except (OSError, OverflowError) as error:
        print(f"error: cannot serve at port {options.port}: {error}", file=sys.stderr)
        return 2
    with museum:
        print(f"{len(museum.files)} paintings at {museum.address}; Ctrl-C ends. Try:")
        print(f"  python -m src.download data.tables={museum.address}/data", flush=True)
        try:
            museum.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
