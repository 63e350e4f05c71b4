"""Streams that escape and never raise: in this process, and as a shell connects them."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from src.runtime import streams
from tests.support.commands import ROOT

ODD = "caf\udce9 \U0001f600 中文 \x1b[2J \x9b1m \u202eabc"  # a name that is not UTF-8, and tricks
LEADERBOARD = f"{sys.executable} -m src.leaderboard"
FULL = "error: cannot write to standard output: No space left on device\n"


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore what a command sets."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setenv("PYTHON_COLORS", "1")


@contextmanager
def broken_pipe() -> Iterator[None]:
    """Put a pipe that nobody reads in place of stdout, which pytest sets after fixtures."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as out:
        sys.stdout = terminal = io.TextIOWrapper(out, "utf-8")
        yield
        terminal.detach()


def printed(encoding: str, text: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return the bytes that a command prints to a terminal of this encoding."""
    terminal = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert streams.run_command(lambda: print(text) or 0) == 0
    return terminal.buffer.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "ascii", "cp1252", "euc-jp"])
def test_what_a_terminal_cannot_show_is_escaped(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = printed(encoding, ODD, monkeypatch).decode(encoding)
    assert r"caf\udce9" in shown and r"\x1b[2J \x9b1m \u202eabc" in shown
    assert not any(ord(letter) < 32 for letter in shown.rstrip("\n"))
    if encoding == "utf-8":
        assert "\U0001f600 中文" in shown
    if encoding == "ascii":
        assert r"\U0001f600 \u4e2d\u6587" in shown


def test_tables_and_progress_bars_keep_their_line_feeds_and_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for text in ("a\tb\nשלום\u200f", "\r50%"):
        assert printed("utf-8", text, monkeypatch) == f"{text}\n".encode()


def test_a_title_does_not_return_to_the_start_of_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed("utf-8", "row 1: a\rrow 2: b", monkeypatch) == b"row 1: a\\rrow 2: b\n"


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    streams.print_error("no file\n\x1b[1A\rerror: none\t.png")
    assert capsys.readouterr().err == "error: no file\\n\\x1b[1A\\rerror: none\\t.png\n"


def test_a_log_line_is_one_line_and_a_traceback_stays() -> None:
    formatter = streams.OneLineFormatter("%(levelname)s %(message)s")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        record = logging.LogRecord(
            "a", logging.INFO, "", 0, "%s", ("x\n[ERROR] y",), sys.exc_info()
        )
    first, *traceback = formatter.format(record).splitlines()
    assert first == r"INFO x\n[ERROR] y"
    assert traceback[-1] == "ZeroDivisionError"


def test_the_message_of_a_traceback_forges_no_line() -> None:
    formatter = streams.OneLineFormatter("%(levelname)s %(message)s")
    try:
        try:
            raise ValueError("a\n[ERROR] forged\x1b[2J")
        except ValueError as error:
            raise OSError("b\r\u202e") from error
    except OSError:
        record = logging.LogRecord("a", logging.INFO, "", 0, "x", (), sys.exc_info())
    lines = formatter.format(record).split("\n")
    assert r"ValueError: a\n[ERROR] forged\x1b[2J" in lines and r"OSError: b\r\u202e" in lines
    assert "The above exception was the direct cause of the following exception:" in lines
    assert sum("in test_the_message_of_a_traceback" in line for line in lines) == 2


def test_a_closed_pipe_ends_the_output_and_not_the_work() -> None:
    done = []
    with broken_pipe():
        code = streams.run_command(lambda: print("x" * 100_000) or done.append("result") or 0)
    assert (code, done) == (141, ["result"])


def test_the_exit_code_of_a_failed_command_stays() -> None:
    with broken_pipe():
        assert streams.run_command(lambda: print("x") or 3) == 3


def test_a_full_disk_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert streams.run_command(lambda: print("x") or 0) == 2
        sys.stdout = sys.__stdout__
    assert capsys.readouterr().err == FULL


@pytest.mark.parametrize(
    ("stop", "code"), [(SystemExit(2), 2), (SystemExit(), 0), (KeyboardInterrupt(), 130)]
)
def test_a_command_that_is_stopped_has_an_exit_code(stop: BaseException, code: int) -> None:
    def main() -> int:
        raise stop

    assert streams.run_command(main) == code


def test_the_stream_of_a_caller_stays() -> None:
    sys.stdout = mine = io.StringIO()
    streams.protect_streams()
    assert sys.stdout is mine


def shell(line: str, **environment: str) -> tuple[int, str, str]:
    """Run a line of bash; return its exit code and what came through both streams."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        timeout=60,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        (f"{LEADERBOARD} --help | true", 141, ""),
        (f"{LEADERBOARD} --help >/dev/full", 2, FULL),
        (f"{LEADERBOARD} --help <&- >&- 2>&-", 0, ""),
        (f"{LEADERBOARD} no/such 2>/dev/full", 2, ""),
    ],
)
def test_streams_as_a_shell_connects_them(line: str, code: int, error: str) -> None:
    assert shell(line) == (code, "", error)


PROGRAM = """
import sys
from src.runtime.streams import run_command

def main():
    with open(sys.argv[1], "w") as file:
        print("x", flush=True)
        print("y", file=sys.stderr, flush=True)
        file.write(f"{file.fileno() > 2}")
    return 0

sys.exit(run_command(main))
"""


def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    line = f'{sys.executable} -c "$PROGRAM" {tmp_path}/file <&- >&- 2>&-'
    assert shell(line, PROGRAM=PROGRAM) == (0, "", "")
    assert (tmp_path / "file").read_text() == "True"


LIST_NAMES = """
import codecs, os, sys
from src.runtime.streams import run_command
def main():
    print(*os.listdir(sys.argv[1]), codecs.lookup(sys.stdout.encoding).name, sep="\\n")
    return 0
sys.exit(run_command(main))
"""


@pytest.mark.parametrize("name", ["é 莫", "\udce9"])
def test_file_names_are_the_same_in_every_locale(tmp_path: Path, name: str) -> None:
    """Under plain ASCII; the streams keep the locale's encoding."""
    (tmp_path / name).write_text("")
    (tmp_path / "main.py").write_text(LIST_NAMES)
    ascii_locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, str(tmp_path / "main.py"), str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, env={**os.environ, **ascii_locale, "PYTHONPATH": str(ROOT)}
    )
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode("ascii").splitlines()
    assert ascii(name)[1:-1] in lines
    assert "ascii" in lines
