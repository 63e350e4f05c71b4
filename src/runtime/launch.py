"""Launch the processes of a run with Lightning, which also supports torchrun and Slurm's srun."""

import logging
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from src.config import Trainer
from src.config.enums import Accelerator
from src.errors import UserError
from src.runtime.environment import (
    check_environment,
    is_interactive_slurm,
    is_rank_zero,
    launcher,
)
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup

# Arguments of Lightning's DDPStrategy. The timeout is that of all ranks to start.
DDP_OPTIONS: dict[str, Any] = {"process_group_backend": "gloo", "timeout": timedelta(minutes=10)}
# The other ranks wait while rank 0 downloads images, for hours; a process that dies is noticed by
# its closed connection.
WORK_TIMEOUT = timedelta(days=30)
MASTER_SECONDS = 40.0  # until rank 0 must listen; all ranks start at about the same time


def launch(options: Trainer) -> ProcessGroup:
    """Launch the processes that the options ask for; return their group in each of them.

    Unless torchrun or srun has launched them, Lightning starts the same command once for each
    device of this machine. Raises UserError if a device is missing or unsuitable, or if the number
    of launched processes differs from the options.
    """
    check_environment(options)
    if options.world_size == 1:
        return SINGLE_PROCESS
    check_accelerator(options)
    from lightning.fabric import Fabric
    from lightning.fabric.strategies.ddp import DDPStrategy
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    _check_srun()
    if not is_rank_zero():
        logging.getLogger().setLevel(logging.ERROR)  # all ranks would log the same lines
    for name in ("lightning.fabric.utilities", "lightning.pytorch.utilities"):
        logging.getLogger(name).setLevel(logging.WARNING)  # hides the banner of process counts
    try:
        with without_srun_hint():
            strategy = DDPStrategy(**DDP_OPTIONS)
            fabric = Fabric(strategy=strategy, **placement(options))
            master = strategy.cluster_environment
            if master is not None:
                wait_for_master(master.main_address, master.main_port)
            fabric.launch()
    except (MisconfigurationException, ValueError, RuntimeError) as error:  # as Lightning raises
        raise UserError(
            f"trainer.devices={options.devices} trainer.num_nodes={options.num_nodes}:"
            f" {' '.join(str(error).split())}"
        ) from error
    _set_timeout(WORK_TIMEOUT)
    return ProcessGroup(fabric.global_rank, fabric.world_size, str(fabric.device))


def wait_for_master(address: str, port: int) -> None:
    """Wait until the address of rank 0 resolves and, if this is a client, until one listens there.

    torch itself would try for minutes, and warn each time. Raises UserError after MASTER_SECONDS.
    """
    # torchrun listens there itself, for all ranks
    is_server = is_rank_zero() and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    end = time.monotonic() + MASTER_SECONDS
    while True:
        try:
            if is_server:
                socket.getaddrinfo(address, port)
            else:
                socket.create_connection((address, port), timeout=MASTER_SECONDS).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                reason = error.strerror or error
                raise UserError(
                    f"rank 0 cannot be reached at {address}:{port} ({reason}): MASTER_ADDR and"
                    " MASTER_PORT must be the address of the first machine, and a free port there"
                ) from error
        time.sleep(0.2)


def _set_timeout(timeout: timedelta) -> None:
    """Set the timeout of all collectives from now on."""
    import torch.distributed as dist

    # its name before torch 2.14
    before = dist.distributed_c10d._set_pg_timeout
    getattr(dist, "set_timeout", before)(timeout)


def check_accelerator(options: Trainer) -> None:
    """Raise UserError if trainer.accelerator is missing or lacks trainer.precision."""
    import torch

    accelerator, precision = options.accelerator, options.precision.name
    available = {
        Accelerator.gpu: torch.cuda.is_available(),
        Accelerator.mps: torch.backends.mps.is_available(),
    }
    if not available.get(accelerator, True):
        raise UserError(
            f"trainer.accelerator={accelerator.name}: torch {torch.__version__} finds no such"
            " device; use auto (a GPU if there is one) or cpu"
        )
    if precision == "16-mixed" and (
        accelerator is Accelerator.cpu or not any(available.values())
    ):  # Lightning would compute in bfloat16 instead, with only a warning
        raise UserError("trainer.precision=16-mixed needs a GPU; use bf16-mixed on a CPU")


def placement(options: Trainer) -> dict[str, Any]:
    """Return the arguments of Lightning's Fabric and Trainer that say where they run."""
    return {
        "accelerator": options.accelerator.name,
        "devices": options.devices,
        "num_nodes": options.num_nodes,
    }


@contextmanager
def without_srun_hint() -> Iterator[None]:
    """Hide the advice to use srun that Lightning gives wherever Slurm is installed.

    Without srun is right on a login node; a job of several tasks is refused by launch.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The `srun` command is available on your system")
        yield


def _check_srun() -> None:
    """Raise UserError in a batch script without srun: Lightning would wait for other tasks."""
    is_batch = int(os.environ.get("SLURM_NTASKS", "1")) > 1 and not is_interactive_slurm()
    if is_batch and launcher() is None:
        raise UserError("this batch job has several tasks: start the command with srun")
