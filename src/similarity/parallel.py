"""Threads: how many PyTorch uses, and work that is split among them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from src.runtime.progress import Watch, unwatched

T = TypeVar("T")


def parallel_map(
    work: Callable[[slice], T],
    n: int,
    step: int,
    watch: Watch = unwatched,
    description: str = "",
) -> list[T]:
    """Return work(part) for slices of step items out of n, in order, run in torch's threads.

    watch goes through the results as they arrive.
    For work of many small operations, each of which then runs on one thread. If torch spread each
    over its threads, it would wait for the slowest, which on a busy machine is one without a core.
    """
    parts = [slice(start, min(start + step, n)) for start in range(0, n, step)]
    count = min(torch.get_num_threads(), len(parts))
    with thread_count(1):
        if count < 2:
            return list(watch(map(work, parts), description, len(parts)))
        with ThreadPoolExecutor(count) as pool:
            return list(watch(pool.map(work, parts), description, len(parts)))


@contextmanager
def thread_count(count: int) -> Iterator[None]:
    """Let torch use count threads inside the block; the last bits of its products depend on it.

    The number is the process's: of two threads that overlap in such blocks, or in their first use
    of torch, the later one may leave the number that the earlier one had set. Callers with several
    threads let one compute at a time.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
