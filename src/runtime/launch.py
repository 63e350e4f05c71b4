"""Starting a run's processes: by Lightning, which knows torchrun and Slurm's srun as well."""

import logging
import os
from datetime import timedelta
from typing import Any

from src.config import Trainer
from src.config.enums import Accelerator
from src.errors import UserError
from src.runtime.processes import SINGLE_PROCESS, ProcessGroup

# Of Lightning's DDPStrategy. The others wait while the first fetches images, for hours; that a
# process has died is noticed by its closed connection, not by the time that it takes.
OVER_GLOO: dict[str, Any] = {"process_group_backend": "gloo", "timeout": timedelta(days=30)}


def launch(options: Trainer) -> ProcessGroup:
    """This process among those that the options ask for, all of which go on from here.

    Where neither torchrun nor srun has started the others, Lightning starts the same command for
    each device of this machine. Raises UserError where there are fewer devices, or where another
    number of processes was started than the options say.
    """
    check_started(options)
    if options.processes == 1:
        return SINGLE_PROCESS
    check_accelerator(options)
    from lightning.fabric import Fabric
    from lightning.fabric.strategies.ddp import DDPStrategy
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    _check_srun()
    if not is_first():
        logging.getLogger().setLevel(logging.ERROR)  # all of them would say the same
    for name in ("lightning.fabric.utilities", "lightning.pytorch.utilities"):
        logging.getLogger(name).setLevel(logging.WARNING)  # a banner of how many there are
    report_user_errors = (
        MisconfigurationException,
        ValueError,
        RuntimeError,
    )  # what Lightning may raise
    asked = f"trainer.devices={options.devices} trainer.num_nodes={options.num_nodes}"
    try:
        fabric = Fabric(strategy=DDPStrategy(**OVER_GLOO), **placement(options))
        fabric.launch()
    except report_user_errors as error:
        raise UserError(f"{asked}: {' '.join(str(error).split())}") from error
    return ProcessGroup(fabric.global_rank, fabric.world_size, str(fabric.device))


def check_accelerator(options: Trainer) -> None:
    """Refuse a device that is not there or cannot compute so, before any work."""
    import torch

    accelerator, precision = options.accelerator, options.precision.name

    there = {
        Accelerator.gpu: torch.cuda.is_available(),
        Accelerator.mps: torch.backends.mps.is_available(),
    }
    if not there.get(accelerator, True):
        raise UserError(
            f"trainer.accelerator={accelerator.name}: torch {torch.__version__} finds no such"
            " device here; auto takes what there is, cpu always works"
        )
    if precision == "16-mixed" and (accelerator is Accelerator.cpu or not any(there.values())):
        # Lightning would compute in bfloat16, and say nothing but a warning
        raise UserError("trainer.precision=16-mixed is for a GPU; on a CPU take bf16-mixed")


def placement(options: Trainer) -> dict[str, Any]:
    """Where Lightning's Fabric and Trainer run."""
    return {
        "accelerator": options.accelerator.name,
        "devices": options.devices,
        "num_nodes": options.num_nodes,
    }


def is_first() -> bool:
    """Whether this process is the first of its run, as far as its environment tells."""
    if "RANK" in os.environ:  # torchrun's
        return os.environ["RANK"] == "0"
    own = {os.environ[name] for name in ("LOCAL_RANK", "NODE_RANK") if name in os.environ}
    if own:  # Lightning's; its processes inherit what a batch script has of Slurm's
        return own == {"0"}
    return os.environ.get("SLURM_PROCID", "0") == "0"


def started() -> int | None:
    """How many processes torchrun or srun has started for this run; None where neither has."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS")  # SLURM_NTASKS is set in a batch script too
    return int(tasks) if tasks and not _interactive() else None


def _interactive() -> bool:
    """A shell that Slurm has given, in which Lightning starts processes as on any machine."""
    return os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")


def _check_srun() -> None:
    """Raises UserError in a batch script without srun: Lightning would wait for its other tasks."""
    several = int(os.environ.get("SLURM_NTASKS", "1")) > 1
    if several and started() is None and not _interactive() and "LOCAL_RANK" not in os.environ:
        raise UserError("this batch job has several tasks: start the command with srun")


def check_started(options: Trainer) -> None:
    """Raises UserError where torchrun or srun has started more or fewer processes than asked."""
    there = started()
    if there is not None and there != options.processes:
        raise UserError(
            f"{there} processes were started, but trainer.devices={options.devices} times"
            f" trainer.num_nodes={options.num_nodes} is {options.processes}: trainer.devices is"
            " torchrun's --nproc-per-node or srun's --ntasks-per-node; trainer=slurm takes both"
            " numbers from Slurm"
        )
