"""The Slurm jobs of a sweep, as submitit runs them: their end and their requeue; needs `slurm`.

submitit asks sacct, which fails where a cluster keeps no accounts: a sweep would wait for ever for
a job that was killed. squeue works on every cluster.
"""

import signal

from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob, SlurmJobEnvironment

POLL_SECONDS = 30  # between two calls of squeue, of the whole sweep together
FINAL_STATES = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT"),
    "ENDED",  # squeue forgets a job some minutes after its end
}


class QueueWatcher(SlurmInfoWatcher):
    """Reads the states of a sweep's jobs from squeue."""

    def __init__(self) -> None:
        super().__init__(delay_s=POLL_SECONDS)

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """Return whether the job has ended, and the sweep's other jobs too.

        submitit gives up a sweep at the first job without a result; this makes it wait for the
        other jobs before.
        """
        self.get_state(job_id, mode)  # calls squeue if it is time to
        states = [self._info_dict.get(job, {}).get("State") for job in self._registered]
        return all(state in FINAL_STATES for state in states)

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """Return the state of each job, given what squeue prints: id|STATE lines."""
        text = string if isinstance(string, str) else string.decode()
        states = dict(line.split("|") for line in text.split())
        return {job: {"State": states.get(job, "ENDED")} for job in self._registered}

    def _make_command(self) -> list[str]:
        return ["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i|%T"]


def watch_queue() -> None:
    """Make submitit read the states of Slurm jobs from squeue."""
    SlurmJob.watcher = QueueWatcher()


_requeue = SlurmJobEnvironment._requeue


def _requeue_to_the_end(environment: SlurmJobEnvironment, countdown: int) -> None:
    """Requeue the job of this process. Raises CalledProcessError if Slurm refuses.

    Slurm then sends SIGTERM to all processes of the job. scontrol is one of them: if it dies before
    it has read the answer, submitit reports the job as failed though it starts again. A signal that
    is ignored here is ignored by scontrol too.
    """
    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        _requeue(environment, countdown)
    finally:
        signal.signal(signal.SIGTERM, handler)


def guard_requeue() -> None:
    """Make submitit finish the requeue of a job that Slurm is already ending."""
    SlurmJobEnvironment._requeue = _requeue_to_the_end  # type: ignore[assignment, method-assign]
