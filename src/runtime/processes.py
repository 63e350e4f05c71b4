"""The processes of a run: here they share out work, and meet.

All of them talk over gloo, on GPUs too: nothing here needs NCCL's speed, and gloo notices at once
when the connection to a process that died is closed.
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
HEARTBEAT_SECONDS = 10.0  # seconds between two meetings


@contextmanager
def _translate_peer_errors() -> Iterator[None]:
    """Around what needs the other processes."""
    try:
        yield
    except RuntimeError as error:  # gloo has no class of its own for it
        reason = re.sub(r"^\[\S+\] ", "", str(error)).partition(". ")[0]
        raise UserError(
            f"another process of this run has ended ({reason}): what was finished is kept, start"
            " again to go on"
        ) from error


@dataclass
class ProcessGroup:
    """The processes of a run as one of them sees them: its own number, and how many there are."""

    rank: int = 0
    size: int = 1
    device: str | None = None  # that this one computes on, cuda:1 say; None: as the options say
    _last_heartbeat: float = field(default_factory=time.monotonic)

    @property
    def is_rank_zero(self) -> bool:
        """Whether this process is the one that prepares what the others use."""
        return self.rank == 0

    def own_slice(self, n: int) -> slice:
        """This process's own of n things: as many as the others have, one after the other."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            import torch.distributed as dist

            with _translate_peer_errors():
                dist.barrier()

    def broadcast_from_rank_zero(self, make: Callable[[], T]) -> T:
        """What the first process makes, in all of them; where it fails, the others end too."""
        if self.size == 1:
            return make()
        import torch.distributed as dist

        told: list[Any] = [None, False]
        try:
            if self.is_rank_zero:
                told = [make(), True]
        except BaseException:
            with suppress(RuntimeError):  # that others are gone too is not what went wrong
                dist.broadcast_object_list(told, 0)
            raise
        with _translate_peer_errors():
            dist.broadcast_object_list(told, 0)
        if not told[1]:
            # The first process says why and gives the code. Another code than 0 here, and Lightning
            # would kill it before it has.
            raise SystemExit(0)
        return told[0]  # type: ignore[no-any-return]

    def rank_zero_first(self, make: Callable[[], T]) -> T:
        """Each process's own; the first makes its before the others begin, so that what it leaves
        on the disk is there for them."""
        own: list[T] = []
        self.broadcast_from_rank_zero(lambda: own.append(make()))
        return own[0] if own else make()

    def broadcast_tensor(self, make: "Callable[[], Tensor]") -> "Tensor":
        """What the first process makes, to the bit, in all of them."""
        own: list[Tensor] = []

        def shape() -> tuple[Any, Any]:
            """Make it, and tell what the others need to receive it."""
            own.append(make().contiguous())
            return own[0].shape, own[0].dtype

        form = self.broadcast_from_rank_zero(shape)
        if self.size == 1:
            return own[0]
        import torch
        import torch.distributed as dist

        tensor = own[0] if own else torch.empty(form[0], dtype=form[1])
        with _translate_peer_errors():
            dist.broadcast(tensor, 0)
        return tensor

    def all_gather_objects(self, own: T) -> list[T]:
        """What each process has, in their order."""
        if self.size == 1:
            return [own]
        import torch.distributed as dist

        everyones: list[Any] = [None] * self.size
        with _translate_peer_errors():
            dist.all_gather_object(everyones, own)
        return everyones

    def all_to_all_rows(self, rows: "Tensor") -> list["Tensor"]:
        """What every process has of this one's part of the rows (n, ...): a tensor from each."""
        if self.size == 1:
            return [rows]
        import torch
        import torch.distributed as dist

        mine: list[Tensor] = []
        for rank in range(self.size):
            own = rows[ProcessGroup(rank, self.size).own_slice(len(rows))].contiguous()
            into = [torch.empty_like(own) for _ in range(self.size)] if rank == self.rank else None
            with _translate_peer_errors():
                dist.gather(own, into, rank)
            mine = into or mine
        return mine

    def all_gather_rows(self, own: "Tensor", n: int) -> "Tensor":
        """All rows (n, ...) where each process has its own part of them."""
        if self.size == 1:
            return own
        import torch
        import torch.distributed as dist

        parts = []
        for rank in range(self.size):
            at = ProcessGroup(rank, self.size).own_slice(n)
            size = (at.stop - at.start, *own.shape[1:])
            parts.append(own if rank == self.rank else torch.empty(size, dtype=own.dtype))
            with _translate_peer_errors():
                dist.broadcast(parts[-1], rank)
        return torch.cat(parts)

    def heartbeat(self, finished: bool = False) -> None:
        """Called after every piece of work, and once with finished at its end.

        Every few seconds all processes come together here. So one whose neighbor has died ends
        within seconds, instead of working on for hours that nobody will use. Raises UserError.
        """
        while self.size > 1 and (
            finished or time.monotonic() - self._last_heartbeat > HEARTBEAT_SECONDS
        ):
            import torch
            import torch.distributed as dist

            count = torch.tensor(int(finished))
            with _translate_peer_errors():
                dist.all_reduce(count)
            self._last_heartbeat = time.monotonic()
            if not finished or count == self.size:
                return

    def close(self) -> None:
        """From here on the first process works alone."""
        if self.size > 1:
            import torch.distributed as dist

            self.barrier()
            dist.destroy_process_group()


SINGLE_PROCESS = ProcessGroup()
