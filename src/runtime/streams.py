"""The standard streams of a command: nothing that is printed costs the result.

Letters that the terminal lacks and what is not printable are escaped, a closed pipe ends the output
and not the work, and output that could not be written is told by the exit code.
"""

import errno
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import TracebackException
from typing import Any, TextIO

from src.io.printable import printable, printable_lines

SIGPIPE_CODE = 141  # the exit code of a program that a closed pipe has ended
FAILURE_CODE = 2


def print_lines(*lines: object) -> None:
    """Print each as one line on stdout, whatever names of others it holds."""
    for line in lines:
        print(printable(line))


def print_error(error: object) -> None:
    """Print an error as one line on stderr."""
    print(f"error: {printable(error)}", file=sys.stderr)


class OneLineFormatter(logging.Formatter):
    """Formats a message as one line, whatever names it holds, and a traceback as printable lines.

    Only our own lines begin one: a line feed in a message would forge another entry of the log.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the formatted message without the traceback."""
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        """Return the traceback, with the message of each exception on one line."""
        parts = TracebackException(*ei).format()  # a frame has several lines, a message any text
        return "\n".join(map(_traceback_part, parts))


def _traceback_part(part: str) -> str:
    text = part.removesuffix("\n")
    is_ours = text.startswith(("  File ", "\n"))  # a frame, or what stands between two exceptions
    return printable_lines(text) if is_ours else printable(text)


class SafeStream(io.TextIOWrapper):
    """A text stream whose writes never raise: after a failure, the rest goes to the null device."""

    failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write text, of which only what can be seen and ends lines is not escaped.

        A carriage return may begin it, as a progress bar does. Returns the length.
        """
        start = "\r" if text.startswith("\r") else ""
        with self._recorded():
            super().write(start + printable_lines(text[len(start) :]))
        return len(text)

    def flush(self) -> None:
        """Flush."""
        with self._recorded():
            super().flush()

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """Record the failure of the block, and turn the stream to the null device."""
        try:
            yield
        except OSError as error:
            self.failure = error
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())  # also for what is in the buffer, and for child processes
            os.close(null)


def read_names_as_utf8() -> None:
    """Start this process again with UTF-8 file names if the locale has another encoding.

    Else the same files had other names in another locale. The streams keep the locale's encoding.
    """
    if sys.getfilesystemencoding() == "utf-8" or sys.flags.ignore_environment:
        return
    if sys.stdout is not None:
        os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def protect_streams() -> None:
    """Replace stdout and stderr by safe streams, also if the process was started without them."""
    while (lowest := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # a file that is opened later must not become stdout
    os.close(lowest)
    sys.stdout, sys.stderr = _safe(sys.stdout, 1), _safe(sys.stderr, 2)


def _safe(stream: TextIO | None, number: int) -> TextIO:
    """Return the safe stream in place of a standard stream; one that a caller has set stays."""
    if stream is not None and type(stream) is not io.TextIOWrapper:
        return stream
    if stream is None:  # the process was started without it, as with >&-
        null = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        return SafeStream(null, "utf-8", "backslashreplace")
    lines, unbuffered = stream.line_buffering, stream.write_through
    return SafeStream(stream.buffer, stream.encoding, "backslashreplace", None, lines, unbuffered)


def run_command(main: Callable[[], int]) -> int:
    """Run the main function of a command with safe streams; return the exit code of the process.

    It is that of main. If main has succeeded and stdout has failed, it is 141 after a closed pipe,
    else 2. The reason is printed, unless it is a closed pipe.
    """
    read_names_as_utf8()
    protect_streams()
    os.environ["PYTHON_COLORS"] = "0"  # Python's own color codes, of argparse say, were escaped
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    stream_code = _stream_code()
    return code or stream_code


def _stream_code() -> int:
    """Flush stdout, and return 0 if all of it was written."""
    sys.stdout.flush()
    failure = getattr(sys.stdout, "failure", None)
    if failure is None:
        return 0
    if failure.errno == errno.EPIPE:
        return SIGPIPE_CODE
    print_error(f"cannot write to standard output: {failure.strerror}")
    return FAILURE_CODE
