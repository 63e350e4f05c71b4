"""A real server of the browser, and requests to it byte by byte as no client library sends them."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import NamedTuple

from tests.support.processes import ROOT

PATIENCE = 20.0  # seconds until an answer must be there


class Answer(NamedTuple):
    """What a server has answered."""

    status: int
    headers: dict[str, str]  # by name in lower case
    body: bytes


@dataclass
class Browsed:
    """A process of python -m src.browse that listens."""

    process: "subprocess.Popen[str]"
    line: str  # that it has printed
    errors: Path  # what it prints on stderr

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        return int(re.findall(r":(\d+)/", self.line)[0])

    @property
    def host(self) -> str:
        """Return what browsers send as Host."""
        return f"127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """Return an open connection."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def send(self, request: bytes) -> Answer:
        """Send the bytes of a request; return the answer."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_answer(connection, request.split(b" ")[0].decode("latin-1"))

    def ask(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
        """Send a request with a target as it is, on a connection of its own."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}", *headers, "Connection: close"]
        lines += [f"Content-Length: {len(body)}"] if body else []
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def stop(self, number: int) -> int:
        """Send a signal and wait for the end; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """Read one answer."""
    response = HTTPResponse(connection, method=method)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


@contextmanager
def browsed(errors: Path, *words: str | Path, code: str = "") -> Iterator[Browsed]:
    """Run python -m src.browse words for the block, from its printed line on; before it, code."""
    code += "\nimport sys\nfrom src.browse import main\nfrom src.runtime.streams import run_command"
    code += "\nsys.exit(run_command(main))"
    command = [sys.executable, "-c", code, *map(str, words)]
    with (
        errors.open("w") as file,
        subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=file, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            line = next((text for text in process.stdout if "http://" in text), "")
            assert line, errors.read_text()
            yield Browsed(process, line, errors)
        finally:
            process.send_signal(signal.SIGKILL)


@contextmanager
def unharmed(folder: Path, *runs: Path) -> Iterator[Browsed]:
    """Serve runs for the block; fail unless the server then answers and has met only the expected.

    What it keeps is in folder, which must hold no unfinished file.
    """
    words = [*runs, "--port", "0", "--outputs", folder]
    with browsed(folder / "errors.txt", *words) as server:
        yield server
        assert server.ask("/0/gallery.html").status == server.ask("/0/query.html").status == 200
        assert server.process.poll() is None
        assert "Traceback" not in server.errors.read_text()
        assert [path for path in folder.rglob("*") if path.suffix == ".part"] == []
