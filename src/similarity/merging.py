"""Merge the lists of an earlier collection with candidates that are new, and prove the result.

n = images, r = rows whose earlier lists are used, b = rows of a part, m = entries of an earlier
list, c = candidates of a row, k = neighbors needed, w = entries kept.
"""

import numpy as np
import torch
from torch import Tensor

from src.runtime.processes import SINGLE_PROCESS, ProcessGroup
from src.runtime.progress import Watch, unwatched
from src.similarity.candidates import Candidates
from src.similarity.centering import Centered
from src.similarity.growth import NONE, Growth
from src.similarity.lists import Lists
from src.similarity.numerics import PAIRS_PER_STEP
from src.similarity.parallel import parallel_map
from src.similarity.refinement import Scorer, search_again

ROWS_PER_STEP = 512  # merged by one thread at once


def merge(
    scorer: Scorer,
    centered: Centered,
    candidates: Candidates,
    growth: Growth,
    k: int,
    width: int,
    processes: ProcessGroup = SINGLE_PROCESS,
    watch: Watch = unwatched,
) -> Lists:
    """Return the lists of the rows of growth that are not searched, with width entries.

    candidates are new images that may be among a row's best. Each process merges its own shard of
    the rows. watch goes through the parts of the shard, and through the rows searched again.
    """
    part = slice(growth.parts.searched, None)
    shard, queries, key, rows = candidates.gathered(processes, part)
    b, outside = len(queries), _outside(centered, queries, key, rows)
    index, score = torch.full((b, width), NONE), torch.full((b, width), -torch.inf)
    depth = torch.empty(b, dtype=torch.int32)
    earlier = Growth(growth.places, growth.parts, *(column[shard] for column in growth.lists))

    def merge_part(at: slice) -> None:
        """Fill the results of these rows."""
        new, new_score = _scored(scorer, queries[at], rows[at])
        found = torch.cat([earlier.index[at], new], dim=1)
        ranked = torch.cat([earlier.score[at], new_score], dim=1)
        found, ranked = _best(found, ranked, width)
        index[at, : found.shape[1]], score[at, : found.shape[1]] = found, ranked
        depth[at] = _depth(found, ranked, earlier, at, outside[at])

    parallel_map(merge_part, b, ROWS_PER_STEP, watch, "merging")
    unproven = depth < k
    search_again(scorer, centered, queries, unproven, score[:, k - 1], (index, score), k, watch)
    depth[unproven] = k
    unproven |= earlier.unproven
    shards, count = (index.int(), score, depth, unproven.byte()), len(growth.index)
    index, score, depth, again = (processes.all_gather_rows(each, count) for each in shards)
    return Lists(index, score, depth, again.bool())


def _outside(centered: Centered, queries: Tensor, key: Tensor, rows: Tensor) -> Tensor:
    """Return the highest score that a new image can have with queries if it is no candidate, (b,).

    key and rows are those of the candidates, (b, c). Where there are fewer, the others are below
    the floor and cannot count.
    """
    outside = (key[:, -1].double() + centered.offset + centered.bound[queries]).float()
    return outside.masked_fill(rows[:, -1] == NONE, -torch.inf)


def _scored(scorer: Scorer, queries: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the candidates of queries (b,) among rows (b, c), without columns that have none.

    They are index and score (b, widest), NONE and -inf in slots without an image.
    """
    is_there = rows != NONE
    rows = rows[:, : int(is_there.sum(1).max())]
    score = torch.full(rows.shape, -torch.inf)
    query, slot = (rows != NONE).nonzero(as_tuple=True)
    for at in torch.arange(len(query)).split(PAIRS_PER_STEP):
        pairs = query[at], slot[at]
        score[pairs] = scorer.scores(queries[query[at]], rows[pairs][:, None])[:, 0]
    return rows, score


def _best(index: Tensor, score: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return index and score (b, width or fewer) of the largest scores, ties by ascending index.

    One sort of integers, a score's bits before those of the index, is several times as fast as two
    sorts of numbers. An index of NONE comes last among equal scores.
    """
    bits = (score.numpy() + np.float32(0)).view(np.int32)  # -0 becomes 0
    bits ^= (bits >> 31) & 0x7FFFFFFF  # as integers, negative floats descend
    keys = (~bits).astype(np.int64) << 32 | index.numpy().astype(np.int32).view(np.uint32)
    keys = np.sort(keys, axis=1)[:, :width]
    bits = ~(keys >> 32).astype(np.int32)
    bits ^= (bits >> 31) & 0x7FFFFFFF
    index_there = (keys & 0xFFFFFFFF).astype(np.uint32).view(np.int32).astype(np.int64)
    return torch.from_numpy(index_there), torch.from_numpy(bits.view(np.float32))


def _depth(index: Tensor, score: Tensor, earlier: Growth, at: slice, outside: Tensor) -> Tensor:
    """Return how many entries of lists (b, w) come before every image that is not in them, (b,).

    Those images are earlier ones, whose best score and number earlier has for the rows at, and new
    ones, whose scores are at most outside (b,).
    """
    last, first_outside = earlier.last[at, None], earlier.first_outside[at, None]
    before_earlier = (score > last) | ((score == last) & (index < first_outside))
    proven = (index != NONE) & before_earlier & (score > outside[:, None])
    return proven.sum(1).int()
