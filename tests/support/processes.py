"""Real processes for tests, forked from a server that has imported torch.

A process announces that it has come to the point where a test is to kill it, and waits.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds until a process must have announced itself or ended
SERVER = multiprocessing.get_context("forkserver")
# Only imported, not used: threads that torch starts for computing do not survive a fork
SERVER.set_forkserver_preload(
    [
        *(
            "src.run",
            "src.gallery.folder",
            "src.embedding.extraction",
            "src.pipeline.evaluate",
            "src.pipeline.rank",
            "src.pipeline.report",
        ),
        *("src.reporting.tracking", "src.download", "torchvision.models.feature_extraction"),
        *("pytest", "tests.support.processes"),
    ]
)
Body = Callable[..., None]
Moment = Literal["before", "half", "after"]  # when a process is killed: before a call, ...
_pipe: Connection | None = None  # in a child: to the test that started it


class Child:
    """A process that runs a function of a test module, with some methods of subprocess.Popen."""

    def __init__(self, body: Body, arguments: tuple[Any, ...], printed: Path) -> None:
        self._printed = printed
        self._pipe, theirs = SERVER.Pipe()
        self._process = SERVER.Process(target=_run, args=(theirs, printed, body, arguments))
        self._process.start()
        theirs.close()

    @property
    def returncode(self) -> int | None:
        """Return the exit code, -9 after a kill, None while the process runs."""
        return self._process.exitcode

    def wait_for_announcement(self) -> Any:
        """Return the next announcement; fail if the process ends without one."""
        assert self._pipe.poll(PATIENCE), f"no announcement: {self._text()}"
        try:
            return self._pipe.recv()
        except EOFError:
            raise AssertionError(f"ended before it announced itself: {self._text()}") from None

    def send_signal(self, number: int) -> None:
        """Send the process a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill_at_announcement(self) -> Any:
        """Kill the process at its next announcement, and return the announcement."""
        message = self.wait_for_announcement()
        self._process.kill()
        self.communicate()
        assert self.returncode == -signal.SIGKILL
        return message

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, None]:
        """Wait for the end; return all that the process printed, on stderr too."""
        self._process.join(timeout)
        assert self.returncode is not None, f"does not end: {self._text()}"
        return self._text(), None

    def wait_for_success(self) -> None:
        """Wait for the end; fail if the exit code is not 0."""
        printed, _ = self.communicate()
        assert self.returncode == 0, printed

    def close(self) -> None:
        """Kill the process if it still runs."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _text(self) -> str:
        return self._printed.read_text() if self._printed.exists() else ""


Fork = Callable[..., Child]


def _run(pipe: Connection, printed: Path, body: Body, arguments: tuple[Any, ...]) -> None:
    """Run the body of a child, with its output in a file and Ctrl-C as in a terminal."""
    global _pipe
    _pipe = pipe
    file = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(file, stream.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    body(*arguments)


def announce(message: object = None) -> NoReturn:
    """Announce to the test that this process waits to be killed."""
    assert _pipe is not None
    _pipe.send(message)
    _pipe.recv()
    raise AssertionError("nobody answers an announcement")


@dataclass(frozen=True)
class Point:
    """A call of a function of os at which a process is to be killed.

    Calls are counted from 0, only those whose last argument ends in name. Half of a write or pwrite
    writes half of the bytes; half of a replace halves the file first; half of an fdatasync cuts off
    the end of the file, as if its last line was being written.
    """

    function: Literal["write", "pwrite", "fsync", "fdatasync", "replace", "rename"]
    call: int = 0
    when: Moment = "before"
    name: str = ""

    def arm(self) -> None:
        """Make this process announce itself at that call, and wait."""
        real, calls = getattr(os, self.function), count()

        def counted(*arguments: Any, **options: Any) -> Any:
            """Call the function, but announce at the one call."""
            counts = not self.name or str(arguments[-1]).endswith(self.name)
            if not counts or next(calls) != self.call:
                return real(*arguments, **options)
            if self.when == "half":
                _half(self.function, *arguments)
            elif self.when == "after":
                real(*arguments, **options)
            announce(self)

        setattr(os, self.function, counted)


def _half(function: str, *arguments: Any) -> None:
    """Leave the files as a process does that is killed in the middle of the call."""
    if function == "pwrite":
        file, data, offset = arguments
        os.lseek(file, offset, os.SEEK_SET)
        os.write(file, data[: len(data) // 2])
    elif function == "write":
        file, data = arguments
        os.pwrite(file, data[: len(data) // 2], os.fstat(file).st_size)
    elif function == "fdatasync":
        os.ftruncate(arguments[0], os.fstat(arguments[0]).st_size - 3)
    else:
        os.truncate(arguments[0], os.stat(arguments[0]).st_size // 2)


def run_module(module: str, words: list[str], environment: dict[str, str]) -> NoReturn:
    """Run `python -m module words` in this environment, as the body of a child."""
    from importlib import import_module

    from src.cli import app

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    sys.argv = [module, *words]
    sys.exit(app.command(import_module(module).main))


def wait_for_line(path: Path, alive: Callable[[], bool]) -> str:
    """Return the line that another process writes to a file; fail if the process ends before."""
    end = time.monotonic() + PATIENCE
    while not (path.exists() and (line := path.read_text()).endswith("\n")):
        assert alive() and time.monotonic() < end
        time.sleep(0.01)
    return line


@pytest.fixture(scope="session", name="server")
def started_server() -> None:
    """Start the server of this session, and wait until it has imported its modules."""
    with chdir(ROOT):
        multiprocessing.forkserver.ensure_running()
    first = SERVER.Process(target=os.getpid)
    first.start()
    first.join()
    assert first.exitcode == 0


@pytest.fixture(name="fork")
def forked_children(server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    """Return fork(body, *arguments), which starts a child; none outlives the test."""
    folder, children = tmp_path_factory.mktemp("printed"), list[Child]()

    def start(body: Body, *arguments: Any) -> Child:
        """Start a child."""
        children.append(Child(body, arguments, folder / f"{len(children)}.txt"))
        return children[-1]

    yield start
    for child in children:
        child.close()
