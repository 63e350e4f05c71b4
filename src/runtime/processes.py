"""Collectives between the processes of one run, over gloo.

gloo is used on GPUs too: nothing here needs NCCL's speed, and gloo notices at once when the
connection to a dead process is closed. With one process every collective returns at once, without
importing torch.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from src.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
HEARTBEAT_SECONDS = 10.0  # between two heartbeats


@contextmanager
def _translate_peer_errors() -> Iterator[None]:
    """Translate a lost connection to another rank into UserError."""
    try:
        yield
    except RuntimeError as error:  # gloo has no exception class of its own
        reason = re.sub(r"^\[\S+\] ", "", str(error)).partition(". ")[0]
        raise UserError(
            f"another process of this run died ({reason}); finished work is kept, run the same"
            " command again to resume"
        ) from error


@dataclass
class ProcessGroup:
    """The processes of a run, as seen by one of them."""

    rank: int = 0  # of this process
    world_size: int = 1  # number of processes
    device: str | None = None  # assigned to this rank, "cuda:1" say; None: chosen by the options
    _last_heartbeat: float = field(default_factory=time.monotonic)

    @property
    def is_rank_zero(self) -> bool:
        """Return whether this process has rank 0, which prepares what the other ranks use."""
        return self.rank == 0

    def own_slice(self, n: int) -> slice:
        """Return this rank's shard of n items: contiguous, in order of ranks, sizes differ by 1."""
        return slice(n * self.rank // self.world_size, n * (self.rank + 1) // self.world_size)

    def barrier(self) -> None:
        """Wait until all ranks have called this."""
        if self.world_size > 1:
            import torch.distributed as dist

            with _translate_peer_errors():
                dist.barrier()

    def broadcast_from_rank_zero(self, make: Callable[[], T]) -> T:
        """Call `make` on rank 0 and return its picklable result on all ranks.

        If it raises, rank 0 raises that error and the other ranks exit with code 0.
        """
        if self.world_size == 1:
            return make()
        import torch.distributed as dist

        message: list[Any] = [None, False]  # result, whether there is one
        try:
            if self.is_rank_zero:
                message = [make(), True]
        except BaseException:
            with suppress(RuntimeError):  # a lost peer must not hide the first error
                dist.broadcast_object_list(message, 0)
            raise
        with _translate_peer_errors():
            dist.broadcast_object_list(message, 0)
        if not message[1]:
            # Rank 0 reports the error and sets the exit code. With another code than 0 here,
            # Lightning would kill rank 0 before it has done so.
            raise SystemExit(0)
        return message[0]  # type: ignore[no-any-return]

    def rank_zero_first(self, make: Callable[[], T]) -> T:
        """Call `make` on every rank and return the rank's own result.

        Rank 0 finishes before the others begin, so that they find the files that it has written.
        """
        results: list[T] = []
        self.broadcast_from_rank_zero(lambda: results.append(make()))
        return results[0] if results else make()

    def broadcast_tensor(self, make: "Callable[[], Tensor]") -> "Tensor":
        """Call `make` on rank 0 and return a bit-identical copy of its CPU tensor on all ranks."""
        created: list[Tensor] = []

        def shape_and_dtype() -> tuple[Any, Any]:
            """Create the tensor; return what the other ranks need to allocate it."""
            created.append(make().contiguous())
            return created[0].shape, created[0].dtype

        shape, dtype = self.broadcast_from_rank_zero(shape_and_dtype)
        if self.world_size == 1:
            return created[0]
        import torch
        import torch.distributed as dist

        tensor = created[0] if created else torch.empty(shape, dtype=dtype)
        with _translate_peer_errors():
            dist.broadcast(tensor, 0)
        return tensor

    def all_gather_objects(self, item: T) -> list[T]:
        """Return the picklable `item` of every rank, in order of ranks."""
        if self.world_size == 1:
            return [item]
        import torch.distributed as dist

        items: list[Any] = [None] * self.world_size
        with _translate_peer_errors():
            dist.all_gather_object(items, item)
        return items

    def all_to_all_rows(self, rows: "Tensor") -> list["Tensor"]:
        """Return this rank's shard of `rows` (n, ...) as held by each rank.

        Every rank passes a CPU tensor of the same shape. The result is a list of `world_size`
        tensors (about n / world_size, ...), in order of ranks.
        """
        if self.world_size == 1:
            return [rows]
        import torch
        import torch.distributed as dist

        received: list[Tensor] = []
        for rank in range(self.world_size):
            shard = rows[ProcessGroup(rank, self.world_size).own_slice(len(rows))].contiguous()
            buffers = None  # only the receiving rank has some
            if rank == self.rank:
                buffers = received = [torch.empty_like(shard) for _ in range(self.world_size)]
            with _translate_peer_errors():
                dist.gather(shard, buffers, rank)
        return received

    def all_gather_rows(self, shard: "Tensor", n: int) -> "Tensor":
        """Return all rows (n, ...) on every rank, given each rank's shard of them.

        `shard` is a CPU tensor (about n / world_size, ...) with the rows of `own_slice(n)`.
        """
        if self.world_size == 1:
            return shard
        import torch
        import torch.distributed as dist

        shards = []
        for rank in range(self.world_size):
            rows = ProcessGroup(rank, self.world_size).own_slice(n)
            shape = (rows.stop - rows.start, *shard.shape[1:])
            shards.append(shard if rank == self.rank else torch.empty(shape, dtype=shard.dtype))
            with _translate_peer_errors():
                dist.broadcast(shards[-1], rank)
        return torch.cat(shards)

    def heartbeat(self, finished: bool = False) -> None:
        """Notice dead ranks: call after each work item, and once with finished=True at the end.

        All-reduces every HEARTBEAT_SECONDS, so that a rank ends within seconds of another's death
        instead of working on in vain. With finished=True it waits until all ranks have finished.
        Raises UserError if a rank has died.
        """
        while self.world_size > 1 and (
            finished or time.monotonic() - self._last_heartbeat > HEARTBEAT_SECONDS
        ):
            import torch
            import torch.distributed as dist

            finished_ranks = torch.tensor(int(finished))
            with _translate_peer_errors():
                dist.all_reduce(finished_ranks)
            self._last_heartbeat = time.monotonic()
            if not finished or finished_ranks == self.world_size:
                return

    def close(self) -> None:
        """Wait for all ranks and end the process group; from here on rank 0 works alone."""
        if self.world_size > 1:
            import torch.distributed as dist

            self.barrier()
            dist.destroy_process_group()


SINGLE_PROCESS = ProcessGroup()
