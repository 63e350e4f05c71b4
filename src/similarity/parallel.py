"""Threads: how many PyTorch uses, and work that is spread over them part by part."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")


def side_by_side(work: Callable[[slice], T], n: int, step: int) -> list[T]:
    """Return work(part) for slices of step out of n, in order, from as many threads as torch has.

    For work of many small operations, each of which then runs on one thread: an operation that
    torch spreads over its threads ends with the slowest of them, and beside other programs that
    is one that waits for a core.
    """
    parts = [slice(start, min(start + step, n)) for start in range(0, n, step)]
    count = min(torch.get_num_threads(), len(parts))
    with thread_count(1):
        if count < 2:
            return [work(part) for part in parts]
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(work, parts))


@contextmanager
def thread_count(count: int) -> Iterator[None]:
    """Let torch use count threads inside the block; the last bits of its products depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
