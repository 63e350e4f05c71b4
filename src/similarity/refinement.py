"""Re-score candidates in float64, prove that none is missing, and search again where that fails.

n = images, d = width of a row, k = neighbors kept, c = candidates of a row, b = rows of a shard.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from src.runtime.memory import block_rows
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import Watch, unwatched
from src.similarity.candidates import Candidates
from src.similarity.centering import Centered, exact_products
from src.similarity.growth import NONE
from src.similarity.numerics import PAIRS_PER_STEP, exact_scores, ranking_scores
from src.similarity.parallel import parallel_map

QUERIES_PER_STEP = 256  # multiplied with all rows at once in an exhaustive search


@dataclass(frozen=True)
class Scorer:
    """Exact scores of pairs, and what neighbors are ordered by."""

    rows: Tensor  # (n, d), as given
    norms: Tensor  # (n,) float64
    penalty: Tensor | None  # (n,) float64
    groups: Tensor  # (n,) rows of one group are no neighbors of each other

    def scores(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """Return the cosines (q, c) float32 of queries (q,) with their candidates (q, c)."""
        return exact_scores(self.rows, self.norms, queries, candidates)

    def ranking_scores(self, score: Tensor, candidates: Tensor) -> Tensor:
        """Return score (q, c) minus the penalties of candidates (q, c), (q, c) float32."""
        return ranking_scores(score, None if self.penalty is None else self.penalty[candidates])


def refine(
    scorer: Scorer,
    centered: Centered,
    candidates: Candidates,
    k: int,
    processes: ProcessGroup = SINGLE_PROCESS,
    watch: Watch = unwatched,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return index and score (q, k) of the best, and which rows were searched exhaustively, (q,).

    The rows are those in all places, or in those that are searched if a collection has grown. A row
    is proven if no image outside its candidates can reach its k-th neighbor, by the bound on the
    fast pass. Each process refines its own shard of the rows, from the candidates of all processes.
    watch goes through the parts of the shard, and through the rows that are searched again.
    """
    n = len(scorer.rows)
    part = slice(0, n if candidates.parts is None else candidates.parts.searched)
    _, queries, key, candidate_rows = candidates.gathered(processes, part)
    bound = centered.bound[queries] + candidates.key_error
    index, score, ranking_score = _rescore(scorer, queries, key, candidate_rows, bound, k, watch)
    # An image outside the candidates must be strictly below the k-th: ties go to the lower row.
    all_are_candidates = candidates.c == n - 1
    last_candidate_key = torch.full((len(key),), -torch.inf) if all_are_candidates else key[:, -1]
    upper_bound_outside = (last_candidate_key.double() + centered.offset + bound).float()
    unproven = upper_bound_outside >= ranking_score[:, -1]
    search_again(
        scorer, centered, queries, unproven, ranking_score[:, -1], (index, score), k, watch
    )
    shards = index.int(), score, unproven.byte()
    index, score, again = (processes.all_gather_rows(shard, part.stop) for shard in shards)
    return index, score, again.bool()


def search_again(
    scorer: Scorer,
    centered: Centered,
    queries: Tensor,
    unproven: Tensor,
    kth: Tensor,
    lists: tuple[Tensor, Tensor],
    k: int,
    watch: Watch,
) -> None:
    """Compare the unproven queries with every image that the bound cannot rule out.

    The first k entries of their lists, index and score (q, k or more), are replaced. kth (q,) is a
    ranking score that k images of each query reach. watch goes through the unproven queries.
    """
    index, score = lists
    rows = unproven.nonzero().flatten()
    complete = _search_exhaustively(scorer, centered, queries[rows], kth[rows], k)
    for row, (best, best_score) in watch(
        zip(rows, complete, strict=True), "searching again", len(rows)
    ):
        index[row, :k], score[row, :k] = best, best_score


def _rescore(
    scorer: Scorer,
    queries: Tensor,
    key: Tensor,
    candidate_rows: Tensor,
    bound: Tensor,
    k: int,
    watch: Watch,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return index, score and ranking score (b, k) of the best candidates of queries (b,).

    key and candidate_rows are (b, c); bound (b,) is the largest error of a key.
    """
    b = len(queries)
    index = torch.empty(b, k, dtype=torch.int64)
    score, ranking_score = torch.empty(b, k), torch.empty(b, k)
    # A candidate further below the k-th than both errors together is not among the k best; a step
    # of float32 more, because rounded scores may tie.
    possible = key.double() >= (key[:, k - 1].double() - 2 * bound - 2.0**-23)[:, None]
    count = possible.sum(1).clamp(min=k)  # the first ones: keys descend

    def rescore_part(at: slice) -> None:
        """Fill the results of these queries."""
        rows = candidate_rows[at, : int(count[at].max())]
        is_empty, rows = rows == NONE, rows.clamp(min=0)
        exact = scorer.scores(queries[at], rows)
        exact[is_empty] = -torch.inf
        ranked = scorer.ranking_scores(exact, rows)
        best = best_columns(ranked, rows, k)
        index[at], score[at] = rows.gather(1, best), exact.gather(1, best)
        ranking_score[at] = ranked.gather(1, best)

    parallel_map(rescore_part, b, PAIRS_PER_STEP, watch, "scoring")
    return index, score, ranking_score


def _search_exhaustively(
    scorer: Scorer, centered: Centered, queries: Tensor, kth: Tensor, k: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield for each query index and score (k,) among all images the bound cannot rule out.

    kth (q,) is a ranking score that k images of each query reach.
    """
    groups = scorer.groups
    # one step of float32 for rounding, and 2^-24 for that of the score
    low = torch.nextafter(kth, torch.tensor(-torch.inf)).double() - 2.0**-24
    floors = low - centered.offset - centered.bound[queries]
    penalty = 0 if scorer.penalty is None else scorer.penalty
    for start in range(0, len(queries), QUERIES_PER_STEP):
        part = slice(start, start + QUERIES_PER_STEP)
        keys = _products(centered, queries[part])  # (b, n)
        for query, key, floor in zip(queries[part], keys, floors[part], strict=True):
            reaches = (key.double() - penalty >= floor) & (groups != groups[query])
            rows = reaches.nonzero().T  # (1, c)
            parts = rows.split(PAIRS_PER_STEP, dim=1)
            exact = torch.cat([scorer.scores(query[None], piece) for piece in parts], dim=1)
            best = best_columns(scorer.ranking_scores(exact, rows), rows, k)
            yield rows.gather(1, best)[0], exact.gather(1, best)[0]


def _products(centered: Centered, queries: Tensor) -> Tensor:
    """Return the products of the fast pass of queries (q,) with all rows, (q, n) on the host."""
    n, device, width = len(centered.rows), centered.device, centered.rows.shape[1]
    step = n if centered.host_rows is None else block_rows(width, device)
    starts = range(0, n, step)
    with exact_products(centered.precision):
        tiles = [centered.tile(queries.to(device), slice(at, at + step)).cpu() for at in starts]
    return torch.cat(tiles, dim=1)


def best_columns(ranking_score: Tensor, index: Tensor, k: int) -> Tensor:
    """Return the columns (q, k) of the k largest of (q, c), descending, ties by ascending index."""
    by_index = index.argsort(dim=1)
    order = ranking_score.gather(1, by_index).argsort(dim=1, descending=True, stable=True)
    return by_index.gather(1, order[:, :k])
