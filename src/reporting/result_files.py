"""Files of a run that say how well it did. Imports no torch.

n = images.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.io.arrays import write_npz
from src.io.csv_cells import unescape_cell, write_table
from src.io.files import atomic_write
from src.reporting import run_checks
from src.reporting.comparison_files import ComparisonFiles
from src.reporting.text import as_utf8

RESULTS = "results.json"


@dataclass(frozen=True, init=False)
class ResultFiles(ComparisonFiles):
    """Metrics, and the images and pairs that stand out; part of a RunFolder."""

    def write_queries(self, queries: dict[str, NDArray[np.float64]]) -> None:
        """Write queries.npz: by metric, its value for each query (n,), NaN where it has none."""
        write_npz(self.path / "queries.npz", {name: v.astype("f4") for name, v in queries.items()})

    def query_values(self, metric: str, n: int) -> NDArray[np.float64] | None:
        """Return the metric's value for each query (n,), NaN where it has none; None if absent."""
        return run_checks.read_query_values(self.path / "queries.npz", metric, n)

    def write_hubs(self, rows: Iterable[tuple[str, int]], escape_formulas: bool = True) -> None:
        """Write hubs.csv: files and the number of lists that each is in, highest first."""
        write_table(self.path / "hubs.csv", ["file", "neighbor_of"], rows, escape_formulas)

    def hubs(self, escape_formulas: bool = True) -> pd.DataFrame:
        """Return the table of hubs.csv, as write_hubs wrote it: file (text), neighbor_of (int)."""
        table = pd.read_csv(
            self.path / "hubs.csv",
            dtype={"file": str},
            keep_default_na=False,  # a file may be called NA
            encoding_errors="surrogateescape",
        )
        return table.assign(file=table["file"].map(unescape_cell)) if escape_formulas else table

    def write_near_duplicates(
        self, rows: Iterable[tuple[float, str, str]], escape_formulas: bool = True
    ) -> None:
        """Write near_duplicates.csv: score and the two files of each pair, best first."""
        lines = ([f"{score:.6f}", file, other] for score, file, other in rows)
        heads = ["score", "file", "other"]
        write_table(self.path / "near_duplicates.csv", heads, lines, escape_formulas)

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Write metrics.json. It is written last: its presence marks the run as complete."""
        with atomic_write(self.path / "metrics.json") as part:
            pairs = [(as_utf8(k), as_utf8(v) if type(v) is str else v) for k, v in metrics.items()]
            part.write_text(json.dumps(dict(pairs), indent=2) + "\n")

    def metrics(self) -> dict[str, Any] | None:
        """Return the content of metrics.json, None if the run is incomplete."""
        path = self.path / "metrics.json"
        return run_checks.read_metrics(path) if path.is_file() else None

    def write_results(self, results: dict[str, Any]) -> None:
        """Write results.json, as src.reporting.results makes it. Raises ValueError for NaN."""
        text = json.dumps(results, indent=2, allow_nan=False, ensure_ascii=False)
        with atomic_write(self.path / RESULTS) as part:
            part.write_text(f"{text}\n", encoding="utf-8")

    def results(self) -> dict[str, Any] | None:
        """Return the content of results.json, None for a run of an earlier version."""
        path = self.path / RESULTS
        return run_checks.read_results(path) if path.is_file() else None
