"""Launch the processes of a run with Lightning, which also supports torchrun and Slurm's srun."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from src.config import Trainer
from src.config.enums import Accelerator
from src.errors import UserError
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup

# Arguments of Lightning's DDPStrategy. The timeout is long, because the other ranks wait while
# rank 0 downloads images, for hours; a process that dies is noticed by its closed connection.
DDP_OPTIONS: dict[str, Any] = {"process_group_backend": "gloo", "timeout": timedelta(days=30)}


def launch(options: Trainer) -> ProcessGroup:
    """Launch the processes that the options ask for; return their group in each of them.

    Unless torchrun or srun has launched them, Lightning starts the same command once for each
    device of this machine. Raises UserError if a device is missing or unsuitable, or if the number
    of launched processes differs from the options.
    """
    check_world_size(options)
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
            fabric = Fabric(strategy=DDPStrategy(**DDP_OPTIONS), **placement(options))
            fabric.launch()
    except (MisconfigurationException, ValueError, RuntimeError) as error:  # as Lightning raises
        raise UserError(
            f"trainer.devices={options.devices} trainer.num_nodes={options.num_nodes}:"
            f" {' '.join(str(error).split())}"
        ) from error
    return ProcessGroup(fabric.global_rank, fabric.world_size, str(fabric.device))


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


def is_rank_zero() -> bool:
    """Return whether this process has rank 0, judged by its environment, before any launch."""
    if "RANK" in os.environ:  # set by torchrun
        return os.environ["RANK"] == "0"
    # Set by Lightning. Looked at before Slurm's variables, which processes that Lightning starts
    # in a batch script inherit.
    ranks = {os.environ[name] for name in ("LOCAL_RANK", "NODE_RANK") if name in os.environ}
    if ranks:
        return ranks == {"0"}
    return os.environ.get("SLURM_PROCID", "0") == "0"


def launched_world_size() -> int | None:
    """Return how many processes torchrun or srun launched for this run, or None if neither did."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS")  # SLURM_NTASKS is set in a batch script too
    return int(tasks) if tasks and not _is_interactive_slurm() else None


def _is_interactive_slurm() -> bool:
    """Return whether this is a shell from Slurm; Lightning starts processes there by itself."""
    return os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")


def _check_srun() -> None:
    """Raise UserError in a batch script without srun: Lightning would wait for other tasks."""
    is_batch = int(os.environ.get("SLURM_NTASKS", "1")) > 1 and not _is_interactive_slurm()
    if is_batch and launched_world_size() is None and "LOCAL_RANK" not in os.environ:
        raise UserError("this batch job has several tasks: start the command with srun")


def check_world_size(options: Trainer) -> None:
    """Raise UserError if torchrun or srun launched another number of processes than asked for."""
    launched = launched_world_size()
    if launched is not None and launched != options.world_size:
        raise UserError(
            f"{launched} processes were launched, but trainer.devices={options.devices} times"
            f" trainer.num_nodes={options.num_nodes} is {options.world_size}: set trainer.devices"
            " to torchrun's --nproc-per-node or srun's --ntasks-per-node; trainer=slurm reads both"
            " numbers from Slurm"
        )
