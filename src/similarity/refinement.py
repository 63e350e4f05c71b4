"""Settling which candidates are the neighbors: scored in float64, and proven to be all there are.

n = images, d = width of a row, k = neighbors kept, c = candidates of a row, b = rows of a block.
"""

import torch
from torch import Tensor

from src.runtime.memory import block_rows
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.similarity.candidates import Candidates
from src.similarity.centering import Centered
from src.similarity.numerics import (
    EXACT,
    exact_products,
    exact_scores,
    row_norms,
    side_by_side,
)


def refine(
    rows: Tensor,
    centered: Centered,
    found: Candidates,
    k: int,
    slack: float = 0,
    processes: ProcessGroup = SINGLE_PROCESS,
) -> tuple[Tensor, Tensor, float]:
    """Index and score (n, k) of the best, and the share of rows that were searched again.

    A row is proven when no image outside its candidates can reach its k-th, by the bound on the
    fast pass; slack is how much more than that the candidates' keys may be off. Each process does
    its own part of the rows, from what all of them found.
    """
    n, slack = len(rows), slack + found.slack
    own = processes.own_slice(n)
    keys, indices = (
        processes.all_to_all_rows(found.key.cpu()),
        processes.all_to_all_rows(found.index.cpu()),
    )
    key, best = torch.cat(keys, dim=1).topk(found.c, dim=1)  # (b, c)
    candidates = torch.cat(indices, dim=1).gather(1, best).long()
    number, bound, norms = torch.arange(n)[own], centered.bound[own] + slack, row_norms(rows)
    index, score, worth = _rescore(rows, norms, number, key, candidates, bound, found.penalty, k)
    # A row left out of the candidates is worth at most this. It must lose, not merely tie.
    rest = key[:, -1] if found.c < n - 1 else torch.full((len(key),), -torch.inf)
    limit = (rest.double() + centered.offset + bound).float()
    unproven = (limit >= worth[:, -1]).nonzero().flatten()
    for some in unproven.split(256) if len(unproven) else ():
        index[some], score[some] = search_exhaustively(
            rows, norms, centered, found, number[some], worth[some, -1], k
        )
    share = sum(processes.all_gather_objects(len(unproven))) / n
    return processes.all_gather_rows(index.int(), n), processes.all_gather_rows(score, n), share


def _rescore(
    rows: Tensor,
    norms: Tensor,
    number: Tensor,
    key: Tensor,
    candidates: Tensor,
    bound: Tensor,
    penalty: Tensor | None,
    k: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Index, score and worth (b, k) of the best among the candidates (b, c) of these rows (b,)."""
    b = len(number)
    index, score = torch.empty(b, k, dtype=torch.int64), torch.empty(b, k)
    worth = torch.empty(b, k)
    # A candidate further below the k-th than both errors together is not among the k best; a step
    # of float32 more, because rounded scores may tie.
    possible = key.double() >= (key[:, k - 1].double() - 2 * bound - 2.0**-23)[:, None]
    need = possible.sum(1).clamp(min=k)  # the first ones: keys descend

    def score_part(at: slice) -> None:
        some = candidates[at, : int(need[at].max())]
        exact = exact_scores(rows, norms, number[at], some)
        exact[key[at, : some.shape[1]].isinf()] = -torch.inf  # places that no image has filled
        value = worths(exact, some, penalty)
        place = best_places(value, some, k)
        index[at], score[at] = some.gather(1, place), exact.gather(1, place)
        worth[at] = value.gather(1, place)

    side_by_side(score_part, b, EXACT)
    return index, score, worth


def search_exhaustively(
    rows: Tensor,
    norms: Tensor,
    centered: Centered,
    found: Candidates,
    some: Tensor,
    worst: Tensor,
    k: int,
) -> tuple[Tensor, Tensor]:
    """Index and score (b, k) of some rows (b,) from every image that the bound cannot rule out.

    worst (b,) is what k images of each row are known to be worth.
    """
    n, groups, penalty = len(rows), found.groups.cpu(), found.penalty
    step = n if centered.streamed is None else block_rows(centered.rows.shape[1], centered.device)
    with exact_products(centered.precision):
        tiles = [
            centered.tile(some.to(centered.device), slice(start, start + step)).cpu()
            for start in range(0, n, step)
        ]
    # one step of float32 for rounding, and 2^-24 for that of the score
    low = torch.nextafter(worst, torch.tensor(-torch.inf)).double() - 2.0**-24
    floor = low - centered.offset - centered.bound[some]
    less = torch.zeros(n, dtype=torch.float64) if penalty is None else penalty
    index, score = torch.empty(len(some), k, dtype=torch.int64), torch.empty(len(some), k)
    for at, (row, key) in enumerate(zip(some.tolist(), torch.cat(tiles, dim=1), strict=True)):
        possible = (
            ((key.double() - less >= floor[at]) & (groups != groups[row])).nonzero().T
        )  # (1, c)
        query = torch.tensor([row])
        parts = [exact_scores(rows, norms, query, part) for part in possible.split(EXACT, dim=1)]
        exact = torch.cat(parts, dim=1)
        place = best_places(worths(exact, possible, penalty), possible, k)
        index[at], score[at] = possible.gather(1, place)[0], exact.gather(1, place)[0]
    return index, score


def worths(score: Tensor, others: Tensor, penalty: Tensor | None) -> Tensor:
    """(q, c) float32, what neighbors are ordered by: their score, less the penalty of each."""
    return score if penalty is None else (score.double() - penalty[others]).float()


def best_places(worth: Tensor, index: Tensor, k: int) -> Tensor:
    """Where (q, k) the k largest of (q, c) are, largest first, equal ones by index ascending."""
    by_index = index.argsort(dim=1)
    order = worth.gather(1, by_index).argsort(dim=1, descending=True, stable=True)
    return by_index.gather(1, order[:, :k])
