"""A row of the table of metrics. Imports no torch."""

import re
from dataclasses import dataclass
from typing import Literal

SHARE = "share (0 to 1)"
DEPTH, TOP_K = ("evaluation.depth",), ("similarity.top_k",)


@dataclass(frozen=True)
class Metric:
    """One row of the table."""

    pattern: str  # the name in metrics.json; <label> and <stage> stand for any text
    unit: str
    better: Literal["higher", "lower", ""]  # the better direction, if there is one
    description: str  # one sentence
    depends_on: tuple[str, ...] = ()  # settings in which runs must agree to be compared

    def matches(self, name: str) -> bool:
        """Return whether name fits the pattern."""
        parts = re.split(r"<\w+>", self.pattern)
        return re.fullmatch(".+".join(map(re.escape, parts)), name, re.DOTALL) is not None
