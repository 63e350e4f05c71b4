"""Real processes for tests: forked from a server that has imported torch, and killed where they
announce that they wait.
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
PATIENCE = 60.0  # seconds for a process to come to a point, or to its end
SERVER = multiprocessing.get_context("forkserver")
# imported only: threads that torch starts when it computes would not survive the fork
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
Moment = Literal["before", "half", "after"]  # of a call
_pipe: Connection | None = None  # of a child, to the test that started it


class Child:
    """A process that runs a function of a test module; asked as a subprocess.Popen is."""

    def __init__(self, body: Body, arguments: tuple[Any, ...], printed: Path) -> None:
        self._printed = printed
        self._pipe, theirs = SERVER.Pipe()
        self._process = SERVER.Process(target=_run, args=(theirs, printed, body, arguments))
        self._process.start()
        theirs.close()

    @property
    def returncode(self) -> int | None:
        """Return its exit code, -9 after a kill, None while it runs."""
        return self._process.exitcode

    def announced(self) -> Any:
        """Wait for its next announcement; fail where it ends without one."""
        assert self._pipe.poll(PATIENCE), f"no announcement: {self._text()}"
        try:
            return self._pipe.recv()
        except EOFError:
            raise AssertionError(f"ended before it announced itself: {self._text()}") from None

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def killed(self) -> Any:
        """Kill it where it next announces itself; return what it announced."""
        said = self.announced()
        self._process.kill()
        self.communicate()
        assert self.returncode == -signal.SIGKILL
        return said

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, None]:
        """Wait for its end; return all that it printed, on stderr too."""
        self._process.join(timeout)
        assert self.returncode is not None, f"does not end: {self._text()}"
        return self._text(), None

    def succeeded(self) -> None:
        """Wait for its end; fail where that is not a good one."""
        printed, _ = self.communicate()
        assert self.returncode == 0, printed

    def close(self) -> None:
        """Leave no process behind."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _text(self) -> str:
        return self._printed.read_text() if self._printed.exists() else ""


Fork = Callable[..., Child]


def _run(pipe: Connection, printed: Path, body: Body, arguments: tuple[Any, ...]) -> None:
    """Run the body of a child: with what it prints in a file, and Ctrl-C as in a terminal."""
    global _pipe
    _pipe = pipe
    file = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(file, stream.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    body(*arguments)


def announce(said: object = None) -> NoReturn:
    """Tell the test that this process has come to where it is to be stopped, and wait for that."""
    assert _pipe is not None
    _pipe.send(said)
    _pipe.recv()
    raise AssertionError("nobody answers an announcement")


@dataclass(frozen=True)
class Point:
    """A call of a function of os in a process, where that is to be killed.

    Calls are counted from 0, those alone whose last path ends in name. Half of a pwrite writes half
    of the bytes; half of a replace has half of the file; half of an fdatasync has lost the end of
    the file, as when a last line was being written.
    """

    function: Literal["pwrite", "fdatasync", "replace", "rename"]
    call: int = 0
    when: Moment = "before"
    name: str = ""

    def arm(self) -> None:
        """Make this process announce itself there, and wait."""
        real, calls = getattr(os, self.function), count()

        def counted(*arguments: Any, **options: Any) -> Any:
            """Work as before, but for the one call."""
            named = not self.name or str(arguments[-1]).endswith(self.name)
            if not named or next(calls) != self.call:
                return real(*arguments, **options)
            if self.when == "half":
                _half(self.function, *arguments)
            elif self.when == "after":
                real(*arguments, **options)
            announce(self)

        setattr(os, self.function, counted)


def _half(function: str, *arguments: Any) -> None:
    """Leave what a process leaves that is killed in the middle of the call, or just before."""
    if function == "pwrite":
        file, data, place = arguments
        os.lseek(file, place, os.SEEK_SET)
        os.write(file, data[: len(data) // 2])
    elif function == "fdatasync":
        os.ftruncate(arguments[0], os.fstat(arguments[0]).st_size - 3)
    else:
        os.truncate(arguments[0], os.stat(arguments[0]).st_size // 2)


def as_command(module: str, words: list[str], environment: dict[str, str]) -> NoReturn:
    """Run, as the body of a child, python -m module with these words in this environment."""
    from importlib import import_module

    from src.cli import app

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    sys.argv = [module, *words]
    sys.exit(app.command(import_module(module).main))


def wait_for(told: Path, alive: Callable[[], bool]) -> str:
    """Return the line that another process writes to a file; fail where it ends before."""
    end = time.monotonic() + PATIENCE
    while not (told.exists() and (line := told.read_text()).endswith("\n")):
        assert alive() and time.monotonic() < end
        time.sleep(0.01)
    return line


@pytest.fixture(scope="session", name="server")
def started_server() -> None:
    """Start the server of this session; the first process waits until all is imported."""
    with chdir(ROOT):
        multiprocessing.forkserver.ensure_running()
    first = SERVER.Process(target=os.getpid)
    first.start()
    first.join()
    assert first.exitcode == 0


@pytest.fixture(name="fork")
def forked_children(server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    """Start children: fork(body, *arguments). None of them outlives the test."""
    folder, children = tmp_path_factory.mktemp("printed"), list[Child]()

    def start(body: Body, *arguments: Any) -> Child:
        """Start one."""
        children.append(Child(body, arguments, folder / f"{len(children)}.txt"))
        return children[-1]

    yield start
    for child in children:
        child.close()
