"""Which launcher is believed, and what is said of variables that are left over from another."""

import os
import socket
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from src.cli import app
from src.config import Trainer
from src.config.enums import Accelerator
from src.errors import UserError
from src.runtime import launch
from src.runtime.environment import (
    check_environment,
    is_rank_zero,
    launched_world_size,
    launcher,
)
from src.runtime.launch import wait_for_master
from tests.support.launchers import SLURM, options
from tests.support.processes import run_module

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "a",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "GROUP_RANK": "0",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "x",
    "MASTER_PORT": "1",
}
NODE = {"NODE_RANK": "0", "MASTER_ADDR": "x", "MASTER_PORT": "1"}  # of Lightning
CHILD = {**NODE, "LOCAL_RANK": "1", "WORLD_SIZE": "2"}
SRUN = {
    **SLURM,
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
}
SALLOC = {"SLURM_JOB_NAME": "interactive", "SLURM_JOB_ID": "1", "SLURM_NTASKS": "4"}
PTY = {**SRUN, "SLURM_JOB_NAME": "bash", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "1"}
BATCH = {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
FOUR = Trainer(devices=2, num_nodes=2)


@pytest.fixture
def set_environment(monkeypatch: pytest.MonkeyPatch):
    """Return set(variables), which adds to an environment without a launcher."""

    def set_all(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        (TORCHRUN, True),
        ({**TORCHRUN, "RANK": "2"}, False),
        (NODE, True),
        ({**NODE, "NODE_RANK": "1"}, False),
        (CHILD, False),
        ({**CHILD, **BATCH}, False),  # started by Lightning in a batch script
        ({k: v for k, v in CHILD.items() if k != "WORLD_SIZE"}, False),  # Lightning deletes it
        (SRUN, True),
        ({**SRUN, "SLURM_PROCID": "3"}, False),
        ({**PTY, "SLURM_PROCID": "3"}, True),
        ({"RANK": "1"}, True),
        ({"LOCAL_RANK": "1"}, True),
        ({"SLURM_PROCID": "1"}, True),
        ({**NODE, "NODE_RANK": "one"}, True),
        ({**NODE, "LOCAL_RANK": "one"}, True),
    ],
)
def test_the_rank_is_that_of_a_whole_launcher(environment, expected, set_environment):
    set_environment(environment)
    assert is_rank_zero() == expected


@pytest.mark.parametrize(
    ("environment", "size"),
    [({}, None), (TORCHRUN, 4), (SRUN, 4), (CHILD, None), (BATCH, None), (SALLOC, None)],
)
def test_torchrun_and_srun_give_the_number_of_processes(environment, size, set_environment):
    set_environment(environment)
    assert launched_world_size() == size


@pytest.mark.parametrize(
    ("environment", "trainer", "name"),
    [
        ({}, Trainer(), None),
        ({}, Trainer(devices=2), None),
        (TORCHRUN, FOUR, "torchrun"),
        ({**TORCHRUN, "RANK": "3", "LOCAL_RANK": "1", "GROUP_RANK": "1"}, FOUR, "torchrun"),
        (CHILD, Trainer(devices=2), "Lightning"),
        ({**NODE, "NODE_RANK": "1"}, FOUR, "Lightning"),
        (SRUN, FOUR, "srun"),
        (SALLOC, Trainer(devices=2), None),
        (PTY, Trainer(devices=2), None),
        (BATCH, Trainer(), None),
        # of a process that is alone, and in nobody's way there
        ({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}, Trainer(), None),
        ({"MASTER_ADDR": "elsewhere", "MASTER_PORT": "1"}, Trainer(), None),
        ({"MASTER_ADDR": "localhost", "MASTER_PORT": "1"}, Trainer(devices=2), None),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, Trainer(devices=2), None),
    ],
)
def test_whole_and_harmless_variables_are_accepted(environment, trainer, name, set_environment):
    set_environment(environment)
    check_environment(trainer)  # raises nothing
    found = launcher()
    assert (found and found.name) == name


@pytest.mark.parametrize(
    ("environment", "trainer", "message"),
    [
        (
            {"RANK": "1"},
            Trainer(),
            r"RANK=1 is left .* set TORCHELASTIC_RUN_ID too\): unset RANK$",
        ),
        ({"RANK": "1", "WORLD_SIZE": "2"}, Trainer(), r"RANK=1 .*: unset RANK WORLD_SIZE$"),
        ({"RANK": "one"}, Trainer(), r"RANK=one .*\(it is not a number\): unset RANK$"),
        ({"RANK": ""}, Trainer(devices=2), r"RANK= .*\(it is not a number\): unset RANK$"),
        ({"LOCAL_RANK": "0"}, Trainer(devices=2), r"LOCAL_RANK=0 is left .*: unset LOCAL_RANK$"),
        ({"RANK": "0"}, Trainer(devices=2), r"RANK=0 .*: unset RANK$"),
        ({"WORLD_SIZE": "4"}, Trainer(), r"WORLD_SIZE=4 .*: unset WORLD_SIZE$"),
        ({"LOCAL_WORLD_SIZE": "2"}, Trainer(devices=2), r"unset LOCAL_WORLD_SIZE$"),
        ({"GROUP_RANK": "1"}, Trainer(devices=2), r"unset GROUP_RANK$"),
        ({"NODE_RANK": "1"}, Trainer(), r"NODE_RANK=1 .*Lightning would have set MASTER_ADDR"),
        (
            {"SLURM_PROCID": "1"},
            Trainer(),
            r"srun would have set SLURM_JOB_ID .*unset SLURM_PROCID",
        ),
        ({"SLURM_STEP_NUM_TASKS": "2"}, Trainer(devices=2), r"unset SLURM_STEP_NUM_TASKS$"),
        ({**TORCHRUN, "RANK": "4"}, FOUR, r"RANK=4 must be less than 4 with .*: unset RANK$"),
        ({**TORCHRUN, "RANK": "-1"}, FOUR, r"RANK=-1 is left .*\(it is not a number\)"),
        ({**TORCHRUN, "MASTER_PORT": "http"}, FOUR, r"\(MASTER_PORT is not a number\)"),
        ({**TORCHRUN, "LOCAL_RANK": "2"}, FOUR, r"LOCAL_RANK=2 must be less than 2"),
        (TORCHRUN, Trainer(), r"4 processes were launched, but trainer.devices=1 .*, unset TORCH"),
        (SRUN, Trainer(devices=2), r"4 processes were launched, but trainer.devices=2"),
        ({**SRUN, "SLURM_PROCID": "4"}, FOUR, r"SLURM_PROCID=4 must be less than 4"),
        ({**CHILD, "WORLD_SIZE": "3"}, Trainer(devices=2), r"3 processes were launched"),
        ({**CHILD, "RANK": "0"}, Trainer(devices=2), r"RANK=0 is left .*: unset RANK"),
        ({**NODE, "NODE_RANK": "2"}, FOUR, r"NODE_RANK=2 must be less than 2"),
        ({}, FOUR, r"trainer.num_nodes=2 needs torchrun or srun"),
        ({"MASTER_PORT": "abc"}, Trainer(devices=2), r"MASTER_PORT=abc is not .*unset MASTER_PORT"),
        ({"MASTER_PORT": "99999"}, Trainer(devices=2), r"MASTER_PORT=99999 is not the number of"),
        ({"MASTER_ADDR": "far"}, Trainer(devices=2), r"MASTER_ADDR=far is another machine, but"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, Trainer(), r"OMPI_COMM_WORLD_SIZE=2: mpirun is not"),
        ({"PMI_SIZE": "2"}, Trainer(devices=2), r"PMI_SIZE=2: mpirun is not supported; .* unset"),
    ],
)
def test_variables_that_are_left_over_are_named(environment, trainer, message, set_environment):
    set_environment(environment)
    with pytest.raises(UserError, match=message):
        check_environment(trainer)


@pytest.mark.parametrize(
    ("environment", "devices", "name"),
    [({"RANK": "1"}, 1, "RANK"), ({"LOCAL_RANK": "0"}, 2, "LOCAL_RANK")],
)
def test_a_run_with_a_left_over_rank_ends_with_one_line_and_leaves_nothing(
    environment, devices, name, paintings, fork, tmp_path: Path
):
    outputs = tmp_path / "o"
    words = options(paintings, outputs, devices)
    run = fork(run_module, "src.run", words, dict(os.environ) | environment)
    printed, _ = run.communicate()
    assert run.returncode == 2
    assert printed.startswith(f"error: {name}=") and printed.count("\n") == 1, printed
    assert not outputs.exists() or not list(outputs.iterdir())


def test_only_rank_zero_creates_a_run_folder(set_environment, monkeypatch):
    set_environment({**TORCHRUN, "RANK": "1"})
    monkeypatch.setattr(sys, "argv", ["src.run"])
    assert app.command(lambda: None) == 0
    assert sys.argv[1:] == app.NON_ZERO_RANK_OVERRIDES


def test_ranks_that_never_come_are_waited_for_no_longer_than_the_timeout(
    set_environment, monkeypatch
):
    monkeypatch.setitem(launch.DDP_OPTIONS, "timeout", timedelta(seconds=1))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    set_environment({**CHILD, "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": port})
    set_environment({"OMP_NUM_THREADS": "1"})  # else Lightning would set it, and torch's threads
    with pytest.raises(UserError, match=r"trainer.devices=2 .* 1/2 clients joined"):
        launch.launch(Trainer(accelerator=Accelerator.cpu, devices=2))


def test_a_master_that_cannot_be_reached_is_an_error(set_environment, monkeypatch):
    monkeypatch.setattr(launch, "MASTER_SECONDS", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        port = taken.getsockname()[1]
        wait_for_master("127.0.0.1", port)  # rank 0 will listen there itself
        set_environment({**TORCHRUN, "RANK": "1"})
        with pytest.raises(
            UserError, match=rf"rank 0 cannot be reached at 127.0.0.1:{port} \(Conn"
        ):
            wait_for_master("127.0.0.1", port)
        taken.listen()
        wait_for_master("127.0.0.1", port)
        set_environment({**TORCHRUN, "TORCHELASTIC_USE_AGENT_STORE": "True"})
        wait_for_master("127.0.0.1", port)
    with pytest.raises(UserError, match=r"cannot be reached at 127"):
        wait_for_master("127.0.0.1", port)  # torchrun would listen
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE")
    with pytest.raises(UserError, match=r"cannot be reached at no.such.invalid:1 .*MASTER_ADDR"):
        wait_for_master("no.such.invalid", 1)
