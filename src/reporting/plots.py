"""Plots of a run: the distribution of scores."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from src.reporting.contact_sheets import ACCENT, FAINT


def score_plot(
    stored: NDArray[np.float32], random: NDArray[np.float32], intra: float, inter: float
) -> Figure:
    """Plot the distributions of stored scores (n, k) and of random pairs (m,), with both means."""
    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    low, high = float(min(stored.min(), random.min())), float(max(stored.max(), random.max()))
    bins = np.linspace(low, high if high > low else low + 1e-6, 80).tolist()
    for values, name, color in ((random, "random pairs", "#b0b0b0"), (stored, "neighbors", ACCENT)):
        axes.hist(values.ravel(), bins, density=True, alpha=0.65, color=color, label=name)
    for mean, name, color in ((inter, "inter, all pairs", FAINT), (intra, "intra", ACCENT)):
        axes.axvline(mean, color=color, linestyle="--", label=f"{name}: {mean:.4f}")
    axes.set(
        xlabel="cosine similarity",
        ylabel="density",
        title="Scores of neighbors and of random pairs",
    )
    axes.spines[["top", "right"]].set_visible(False)
    # outside: a search for free room inside is slow, and matplotlib warns about it
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure
