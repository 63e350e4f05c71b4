"""Metrics of the pairs of images that curators have judged, data.judgements.

n = images, p = judged pairs.
"""

import hashlib
import logging
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.evaluation.judgements import (
    Pairs,
    Verdicts,
    consensus,
    judge_agreement,
    list_metrics,
    possible_verdicts,
    ranking_metrics,
)
from src.evaluation.metrics import JUDGED
from src.evaluation.ranked_lists import RankedLists
from src.evaluation.relevance import Ints
from src.evaluation.retrieval import Metrics, Queries
from src.gallery import Gallery
from src.pipeline.rank import Ranking
from src.reporting.text import counted
from src.similarity.numerics import exact_scores, ranking_scores, row_norms
from src.similarity.parallel import parallel_map

log = logging.getLogger(__name__)

AT_ONCE = 4096  # pairs that a thread scores, or rows that are copied


class Judged(NamedTuple):
    """What the judged pairs tell."""

    metrics: Metrics = {}
    queries: Queries = {}  # of some of the metrics, the value of each query
    facts: dict[str, str] = {}  # for metrics.json: the hash by which judgements are told apart


def judged_metrics(ranking: Ranking, gallery: Gallery, lists: RankedLists, groups: Ints) -> Judged:
    """Return the metrics of the gallery's verdicts.

    lists are the neighbors of each image; images of one group (n,) are no neighbors.
    """
    known = _by_row(gallery)
    verdicts = possible_verdicts(known, groups)
    pairs, metrics = consensus(verdicts)
    log.info(
        "judgements: %s of %s; left out: %s, %s about images that cannot be read, %d about one"
        " image or two that similarity.exclude keeps apart",
        counted(len(pairs.query), "pair"),
        counted(int(metrics[f"{JUDGED}queries"]), "query", "queries"),
        counted(int(metrics[f"{JUDGED}disputed"]), "disputed pair"),
        counted(len(gallery.verdicts) - len(known.query), "verdict"),
        len(known.query) - len(verdicts.query),
    )
    key = pair_keys(ranking, pairs)
    of_lists, list_queries = list_metrics(pairs, key, lists, groups)
    of_rankings, ranking_queries = ranking_metrics(pairs, key, len(gallery))
    metrics |= judge_agreement(verdicts) | of_lists | of_rankings
    return Judged(metrics, list_queries | ranking_queries, {"judgements": _hash(pairs)})


def _hash(pairs: Pairs) -> str:
    """Return a hash of the pairs: of runs over the same images, those with equal ones compare."""
    table = np.stack([values.astype("<i8") for values in pairs], axis=1)
    return hashlib.sha256(table.tobytes()).hexdigest()[:16]


def _by_row(gallery: Gallery) -> Verdicts:
    """Return the verdicts about two images of the gallery."""
    rows = {file: row for row, file in enumerate(gallery.files)}
    judges = {judge: at for at, judge in enumerate({v.judge: None for v in gallery.verdicts})}
    known = [v for v in gallery.verdicts if v.query in rows and v.neighbor in rows]
    return Verdicts(
        np.array([rows[v.query] for v in known], dtype=np.int64),
        np.array([rows[v.neighbor] for v in known], dtype=np.int64),
        np.array([judges[v.judge] for v in known], dtype=np.int64),
        np.array([v.is_good for v in known], dtype=bool),
    )


def pair_keys(ranking: Ranking, pairs: Pairs) -> NDArray[np.float32]:
    """Return (p,) what each pair is ordered by, equal to the bit to the keys of neighbor lists."""
    features, penalty = ranking.features, ranking.penalty
    query, neighbor = torch.from_numpy(pairs.query), torch.from_numpy(pairs.neighbor)
    norms = torch.zeros(len(features), dtype=torch.float64)
    for rows in torch.cat([query, neighbor]).unique().split(AT_ONCE):
        norms[rows] = row_norms(features[rows])

    def keys(part: slice) -> Tensor:
        """Return the keys of these pairs."""
        score = exact_scores(features, norms, query[part], neighbor[part, None])[:, 0]
        return ranking_scores(score, None if penalty is None else penalty[neighbor[part]])

    parts = parallel_map(keys, len(query), AT_ONCE)
    return torch.cat([torch.zeros(0), *parts]).numpy()
