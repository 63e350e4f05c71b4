"""Which launcher has started this process, judged by its environment variables.

A launcher is believed only if all its variables are there. Single ones are left over from another
program or shell, and would make a run wait for processes that do not exist.
"""

import os
import socket
from dataclasses import dataclass

from src.config import Trainer
from src.errors import UserError


@dataclass(frozen=True)
class Launcher:
    """A program that starts the processes of a run, and the variables that it sets in each."""

    name: str
    variables: tuple[str, ...]
    ranks: tuple[str, ...]  # the process has rank 0 if all of these are 0
    size: str | None  # the number of processes

    def is_complete(self) -> bool:
        """Return whether all variables are set, to numbers where they are numbers."""
        ranks = all(os.environ.get(name, "0").isdecimal() for name in self.ranks)
        return ranks and all(_is_valid(name, os.environ.get(name, "")) for name in self.variables)


MASTER = ("MASTER_ADDR", "MASTER_PORT")
TORCHRUN = Launcher(
    "torchrun",
    (
        *("TORCHELASTIC_RUN_ID", "RANK", "LOCAL_RANK", "GROUP_RANK"),
        *("WORLD_SIZE", "LOCAL_WORLD_SIZE", *MASTER),
    ),
    ("RANK",),
    "WORLD_SIZE",
)
# Lightning, which a user starts on each machine with NODE_RANK, or in the processes it has started
LIGHTNING = Launcher("Lightning", ("NODE_RANK", *MASTER), ("LOCAL_RANK", "NODE_RANK"), None)
SRUN = Launcher(
    "srun",
    (
        *("SLURM_JOB_ID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NODELIST"),
        *("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"),
    ),
    ("SLURM_PROCID",),
    "SLURM_STEP_NUM_TASKS",
)
WORDS = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "SLURM_NODELIST")  # all others are numbers
# Values of a process that is alone, which are in nobody's way there
ALONE = {
    **dict.fromkeys(("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "SLURM_PROCID"), "0"),
    **dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), "1"),
}
MPI_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")


def _is_valid(name: str, value: str) -> bool:
    return bool(value) if name in WORDS else value.isdecimal()


def launcher() -> Launcher | None:
    """Return the launcher of this process, None if there is none."""
    if TORCHRUN.is_complete():
        return TORCHRUN
    # before Slurm, whose variables are inherited by what Lightning starts in a batch script
    if LIGHTNING.is_complete():
        return LIGHTNING
    # SLURM_NTASKS is set in a batch script too, where no task is started
    return SRUN if SRUN.is_complete() and not is_interactive_slurm() else None


def is_interactive_slurm() -> bool:
    """Return whether this is a shell from Slurm; Lightning starts processes there by itself."""
    return os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")


def is_rank_zero() -> bool:
    """Return whether this process has rank 0, judged by its environment, before any launch."""
    found = launcher()
    return found is None or all(os.environ.get(name, "0") == "0" for name in found.ranks)


def launched_world_size() -> int | None:
    """Return how many processes torchrun or srun launched for this run, or None if neither did."""
    found = launcher()
    return int(os.environ[found.size]) if found and found.size else None


def check_environment(options: Trainer) -> None:
    """Raise UserError if a launcher's variables are incomplete, or contradict the options."""
    found = launcher()
    if found is None:
        _check_no_launcher(options)
        return
    devices, nodes, size = options.devices, options.num_nodes, options.world_size
    # Lightning deletes WORLD_SIZE in the end
    launched = launched_world_size() or int(os.environ.get("WORLD_SIZE", size))
    if launched != size:
        raise UserError(
            f"{launched} processes were launched, but trainer.devices={devices} times"
            f" trainer.num_nodes={nodes} is {size}: set trainer.devices to torchrun's"
            " --nproc-per-node or srun's --ntasks-per-node; trainer=slurm reads both numbers from"
            f" Slurm. If nothing has launched this process, {_unset(found.variables)}"
        )
    limits = {"RANK": size, "SLURM_PROCID": size, "LOCAL_RANK": devices, "NODE_RANK": nodes}
    for name in {*found.variables, *found.ranks} & limits.keys():
        if int(os.environ.get(name, "0")) >= limits[name]:
            raise UserError(
                f"{name}={os.environ[name]} must be less than {limits[name]} with"
                f" trainer.devices={devices} trainer.num_nodes={nodes}: {_unset([name])}"
            )
    if found is LIGHTNING and "RANK" in os.environ:
        raise UserError(_left_over("RANK"))


def _check_no_launcher(options: Trainer) -> None:
    """Raise UserError for the first variable that a process without a launcher must not have."""
    is_alone, interactive = options.world_size == 1, is_interactive_slurm()
    for name in [name for name in ALONE if name in os.environ]:
        is_slurm = name.startswith("SLURM")
        harmless = os.environ[name] == ALONE[name] and (is_alone or is_slurm)
        if not harmless and not (is_slurm and interactive):
            raise UserError(_left_over(name))
    if "SLURM_STEP_NUM_TASKS" in os.environ and not interactive:
        raise UserError(_left_over("SLURM_STEP_NUM_TASKS"))
    for name in MPI_SIZES:
        if os.environ.get(name, "1") != "1":
            raise UserError(
                f"{name}={os.environ[name]}: mpirun is not supported; launch with torchrun or srun,"
                f" or {_unset([name])}"
            )
    if options.num_nodes > 1:
        raise UserError(
            f"trainer.num_nodes={options.num_nodes} needs torchrun or srun to start the command on"
            " every machine"
        )
    port = os.environ.get("MASTER_PORT", "1")
    if not is_alone and not (port.isdecimal() and 0 < int(port) < 2**16):
        raise UserError(f"MASTER_PORT={port} is not the number of a port: {_unset(MASTER)}")
    address = os.environ.get("MASTER_ADDR", "localhost")
    if not is_alone and address not in ("localhost", "127.0.0.1", "::1", socket.gethostname()):
        raise UserError(
            f"MASTER_ADDR={address} is another machine, but trainer.num_nodes=1: unset MASTER_ADDR"
        )


def _left_over(name: str) -> str:
    """Return what a variable lacks to belong to a launcher."""
    known = {"SLURM": SRUN, "NODE_": LIGHTNING}.get(name[:5], TORCHRUN)
    lacking = [v for v in known.variables if not _is_valid(v, os.environ.get(v, ""))]
    missing = [v for v in lacking if v not in os.environ]
    problem = f"{lacking[0]} is not a number"
    if missing:
        problem = f"{known.name} would have set {missing[0]} too"
    if not lacking:
        problem = "it contradicts NODE_RANK"
    if os.environ[name] == "" or not os.environ[name].isdecimal():
        problem = "it is not a number"
    names = [*ALONE, "SLURM_STEP_NUM_TASKS"]
    family = [v for v in names if v.startswith("SLURM") == name.startswith("SLURM")]
    value = os.environ[name]
    return f"{name}={value} is left over from another program ({problem}): {_unset(family)}"


def _unset(variables: list[str] | tuple[str, ...]) -> str:
    """Return the command that removes those of the variables that are set."""
    return f"unset {' '.join(v for v in variables if v in os.environ)}"
