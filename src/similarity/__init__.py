"""Exact cosine similarity of every image with every other: `top_k`, `write_matrix`.

Takes arrays and tensors, never the configuration. Imports runtime and below. Imported by
evaluation, reporting, pipeline and notebooks.
"""

from src.similarity.lists import Neighbors
from src.similarity.plan import SearchOptions
from src.similarity.search import NeighborSearch
from src.similarity.shortcuts import top_k, write_matrix

__all__ = ["NeighborSearch", "Neighbors", "SearchOptions", "top_k", "write_matrix"]
