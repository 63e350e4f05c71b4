"""A Slurm cluster of two nodes on this machine, in a temporary folder, for tests.

Its nodes have the names 127.0.0.1 and 127.0.0.2, which resolve without a change outside of that
folder. There is no accounting, as on many small clusters: sacct fails.
"""

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.processes import ROOT

PATIENCE = 120.0  # seconds that a job may take on a busy machine
DAEMONS = ("munged", "slurmctld", "slurmd")
SBIN = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"  # not on every user's PATH
NODES = ("127.0.0.1", "127.0.0.2")
CONF = """\
ClusterName=paintings
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A requeued job starts again after cred_expire seconds, by default 120
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# Between two looks for jobs to start, by default 60 seconds
SchedulerParameters=sched_interval=1
MpiDefault=none
# Each node has one CPU, whatever the machine has
SlurmdParameters=config_overrides
KillWait=5
NodeName={nodes[0]} NodeAddr=127.0.0.1 NodeHostname={host} Port={ports[0]} CPUs=1
NodeName={nodes[1]} NodeAddr=127.0.0.1 NodeHostname={host} Port={ports[1]} CPUs=1
PartitionName=all Nodes=ALL Default=YES
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    folder: Path
    daemons: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of commands that use this cluster."""
        return os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def call(self, *command: str) -> str:
        """Return what a command of Slurm prints; fail if it fails."""
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr + self.logs()
        return done.stdout

    def submit(self, module: str, words: list[str], nodes: int = 2, **environment: Any) -> str:
        """Submit a job that runs a module by srun, one task per node; return the job's id."""
        run = shlex.join([sys.executable, "-m", module, *words])
        variables = [f"export {name}={value}; " for name, value in environment.items()]
        return self.call(
            *("sbatch", "--parsable", f"--nodes={nodes}", "--ntasks-per-node=1"),
            *("--requeue", "--open-mode=append", f"--output={self.folder}/%j.txt"),
            *("--wrap", f"{''.join(variables)}exec srun --kill-on-bad-exit=1 {run}"),
        ).strip()

    def state(self, job: str) -> str:
        """Return the state of a job: PENDING, RUNNING, COMPLETED, FAILED, ..."""
        shown = self.call("scontrol", "--oneliner", "show", "job", job)
        return dict(pair.split("=", 1) for pair in shown.split() if "=" in pair)["JobState"]

    def has_ended(self, job: str) -> bool:
        """Return whether a job has ended, well or not."""
        return self.state(job) in {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}

    def wait_for_end(self, job: str, seconds: float = PATIENCE) -> str:
        """Wait until a job has ended; return its state."""
        wait_until(partial(self.has_ended, job), partial(self.printed, job), seconds)
        return self.state(job)

    def wait_for_success(self, job: str) -> str:
        """Wait until a job has ended well; return what it printed."""
        assert self.wait_for_end(job) == "COMPLETED", self.printed(job)
        return self.printed(job)

    def printed(self, job: str) -> str:
        """Return what a job has printed."""
        file = self.folder / f"{job}.txt"
        return file.read_text() if file.exists() else self.logs()

    def logs(self) -> str:
        """Return the last lines of the daemons' logs."""
        files = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
        return "".join(f"\n{file.name}:\n{file.read_text()[-1500:]}" for file in files)

    def start(self, *command: str) -> None:
        """Start a daemon that does not leave this process's session."""
        daemon = shutil.which(command[0], path=SBIN)
        assert daemon
        with (self.folder / f"{command[0]}.out").open("a") as out:
            # setpriv: ends with pytest, also if that is killed
            words = ["setpriv", "--pdeathsig", "KILL", daemon, *command[1:]]
            process = subprocess.Popen(
                words, env=self.environment, cwd=self.folder, stdout=out, stderr=out
            )
        self.daemons.append(process)

    def end(self) -> None:
        """Kill the daemons and all that they have started."""
        while running := list(self._processes()):
            for process in running:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(running)
        for daemon in self.daemons:
            daemon.wait()

    def _processes(self) -> Iterator[psutil.Process]:
        """Yield the daemons and the processes of jobs, whose parents may have ended."""
        conf = self.environment["SLURM_CONF"]
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                # slurmstepd overwrites its environment with its title
                if process.environ().get("SLURM_CONF") == conf or process.cwd() == str(self.folder):
                    yield process


def wait_until(
    reached: Callable[[], Any], text: Callable[[], str], seconds: float = PATIENCE
) -> Any:
    """Wait until reached() is true and return it; fail with the text after that many seconds.

    For what Slurm knows: it has no events to wait for.
    """
    end = time.monotonic() + seconds
    while not (result := reached()):
        assert time.monotonic() < end, text()
        time.sleep(0.1)
    return result


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in sockets]


def write_conf(folder: Path) -> None:
    """Write slurm.conf and the key that authenticates the daemons and commands."""
    controller, *ports = free_ports(3)
    (folder / "state").mkdir()
    (folder / "slurm.conf").write_text(
        CONF.format(
            folder=folder,
            host=socket.gethostname().partition(".")[0],
            user=getpass.getuser(),
            controller_port=controller,
            nodes=NODES,
            ports=ports,
        )
    )
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)


@pytest.fixture(scope="session", name="cluster")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start a cluster of two nodes with one CPU each; it ends with the session."""
    if missing := [name for name in (*DAEMONS, "srun") if not shutil.which(name, path=SBIN)]:
        pytest.skip(f"{', '.join(missing)}: not installed (apt-get install slurm-wlm)")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    folder = cluster.folder
    write_conf(folder)
    try:
        munge = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        files = [f"--{option}={folder}/munge.{name}" for option, name in munge.items()]
        # forced: /tmp above the folder is for everyone
        cluster.start("munged", "--foreground", "--force", f"--log-file={folder}/munge.log", *files)
        wait_until((folder / "munge.socket").exists, cluster.logs)
        cluster.start("slurmctld", "-D", "-i")
        for node in NODES:
            cluster.start("slurmd", "-D", "-N", node)
        query = ["sinfo", "--noheader", "--states=idle", "--format=%D"]
        wait_until(
            lambda: (
                subprocess.run(
                    query, env=cluster.environment, capture_output=True, text=True
                ).stdout.split()
                == ["2"]
            ),
            cluster.logs,
        )
        yield cluster
    finally:
        cluster.end()
