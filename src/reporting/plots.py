"""Plots of a run: the distribution of scores."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from src.io.files import atomic_write
from src.reporting.contact_sheets import ACCENT, FAINT, WARNING
from src.reporting.fonts import displayable
from src.reporting.pages import PRINT_DPI


def score_plot(
    stored: NDArray[np.float32],
    random: NDArray[np.float32],
    intra: float,
    inter: float,
    caption: str = "",
    warning: str = "",
) -> Figure:
    """Plot the distributions of stored scores (n, k) and of random pairs (m,), with both means.

    `caption` says which network made them, and `warning` what is to be known first.
    """
    figure = Figure(figsize=(8, 4.8), dpi=110, layout="constrained")
    axes = figure.subplots()
    low, high = float(min(stored.min(), random.min())), float(max(stored.max(), random.max()))
    bins = np.linspace(low, high if high > low else low + 1e-6, 80).tolist()
    for values, name, color in ((random, "random pairs", "#b0b0b0"), (stored, "neighbors", ACCENT)):
        axes.hist(values.ravel(), bins, density=True, alpha=0.65, color=color, label=name)
    for mean, name, color in ((inter, "inter, all pairs", FAINT), (intra, "intra", ACCENT)):
        axes.axvline(mean, color=color, linestyle="--", label=f"{name}: {mean:.4f}")
    axes.set(xlabel="cosine similarity", ylabel="density")
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Scores of neighbors and of random pairs")
    caption = displayable(caption) + "\n" * bool(warning)  # the warning stands on the last line
    axes.set_title(caption, fontsize=9, color=FAINT, parse_math=False)
    place: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "bottom"}
    axes.text(0.5, 1.02, warning, fontsize=9, color=WARNING, weight="bold", **place)
    # outside: a search for free room inside is slow, and matplotlib warns about it
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def save(figure: Figure, *paths: Path) -> None:
    """Write a plot to each path, in the format of its suffix and in the resolution of print."""
    for path in paths:
        with atomic_write(path) as part, rc_context({"pdf.fonttype": 42}):
            kind = path.suffix.removeprefix(".")
            facts = {"CreationDate": None} if kind == "pdf" else None
            figure.savefig(part, dpi=PRINT_DPI, format=kind, metadata=facts)
        figure.set_layout_engine("none")  # it has found the place of all, which takes a while
