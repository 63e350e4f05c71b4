"""Hostile bytes as robots.txt, tables and labels: no error but the program's own, in bounded time.

The examples are the same each time. Each test ends early once its budget of time is spent.
"""

import gzip
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.downloader import body
from src.downloader.errors import Failure
from src.downloader.rate_limiter import RateLimiter
from src.downloader.robots import Robots
from src.errors import UserError
from src.io.spreadsheets import read_spreadsheet
from src.io.tables import read_columns

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")]
BUDGET = 8.0  # seconds a test
MAX_SECONDS, MAX_BYTES = 15.0, 60e6  # of CPU time, which tracing triples, and memory, an example
fuzzed = settings(
    max_examples=3000,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
URLS = ["https://x/", "https://x/" + "a" * 3000, "https://x/%61%00%ff?%2a#b", "https://x//$*"]


Parts = list[tuple[list[bytes], int]]  # words, and how often they stand one after the other


def repeated(*words: bytes) -> st.SearchStrategy[Parts]:
    """Return parts of words and any bytes, some with many repetitions."""
    some = st.lists(st.sampled_from(words) | st.binary(max_size=6), max_size=12)
    return st.lists(st.tuples(some, st.sampled_from([1, 1, 1, 2, 50, 4000])), max_size=5)


def joined(parts: Parts) -> bytes:
    return b"".join(b"".join(words) * times for words, times in parts)[:400_000]


robots = repeated(
    *(b"User-agent: *\n", b"User-agent: painting-similarity", b"user agent", b"\n", b"\r", b":"),
    *(b"Disallow: /", b"Allow:", b"*", b"$", b"%61", b"a", b"#", b" ", b"Crawl-delay:", b"9e9"),
    *(b"Request-rate: 1/", b"9" * 50, b"nan", b"inf", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\x85"),
)
rows = repeated(
    b'"', b",", b";", b"\t", b"\r", b"\n", b"a", b'a","', b'"\n', b"\0", b"\xff", b"sep=;"
)
xml = repeated(
    *(b"<row>", b"</row>", b'<c r="', b"<c>", b'A1">', b'XFD9"', b"<v>", b"1</v></c>", b'<row r="'),
    *(b'99999"/>', b"9", b"<!DOCTYPE", b"<!ENTITY", b"&a;", b'<c t="s">', b"</sheetData>", b'"'),
)


class Watch:
    """Holds each example of a test to its bounds, and the test to its budget."""

    def __init__(self) -> None:
        self.end, self.examples = time.monotonic() + BUDGET, 0

    def check(self, attempt: Callable[[], object]) -> None:
        """Call attempt, unless the budget is spent. Only the program's own errors may come."""
        if time.monotonic() > self.end:
            return
        self.examples += 1
        began = time.process_time()
        tracemalloc.start()
        try:
            attempt()
        except (UserError, Failure) as error:
            assert "\n" not in str(error)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert time.process_time() - began < MAX_SECONDS
        assert peak < MAX_BYTES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the one file of each example."""
    return tmp_path_factory.mktemp("fuzzed")


def run(watch: Watch, test: Callable[[], None]) -> int:
    """Run a test; return the number of its examples."""
    test()
    return watch.examples


def test_robots() -> None:
    watch = Watch()

    @fuzzed
    @given(robots)
    def hold(parts: Parts) -> None:
        text = joined(parts)
        rules = Robots("painting-similarity", RateLimiter(0), lambda url, max_bytes: text)
        for url in URLS:
            watch.check(partial(rules.check, url))

    assert run(watch, hold) > 0


@pytest.mark.parametrize("header", [b"", b"a,b,c\n", b'a,"b",c,d\r\n', b"\xef\xbb\xbfb,a,c\r"])
def test_tables(header: bytes, folder: Path) -> None:
    watch = Watch()
    watch.end -= BUDGET * 3 / 4  # for each of four headers

    @fuzzed
    @given(rows)
    def hold(parts: Parts) -> None:
        (folder / "table.csv").write_bytes(header + joined(parts))
        watch.check(lambda: read_columns(folder / "table.csv", ["a", "?b"]))

    assert run(watch, hold) > 0


@pytest.mark.parametrize("header", [b"", b"file,a\n", b"file\n", b"\xff\xfe"])
def test_labels(header: bytes, folder: Path) -> None:
    watch = Watch()
    watch.end -= BUDGET * 3 / 4

    @fuzzed
    @given(rows)
    def hold(parts: Parts) -> None:
        (folder / "labels.csv").write_bytes(header + joined(parts))
        watch.check(lambda: read_spreadsheet(folder / "labels.csv", "file"))

    assert run(watch, hold) > 0


def test_workbooks(folder: Path) -> None:
    pytest.importorskip("openpyxl", reason="needs the optional dependency excel")
    import openpyxl

    watch, plain = Watch(), folder / "plain.xlsx"
    openpyxl.Workbook().save(plain)
    with zipfile.ZipFile(plain) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"

    @fuzzed
    @given(xml, st.sampled_from([sheet, *parts]), st.binary(max_size=4), st.integers(0, 4000))
    def hold(words: Parts, name: str, damage: bytes, position: int) -> None:
        start = parts[name].split(b"<sheetData")[0] if name == sheet else parts[name][:-60]
        body = start + (b"<sheetData>" if name == sheet else b"") + joined(words)
        closed = body + b"</sheetData></worksheet>" if name == sheet else body
        with zipfile.ZipFile(folder / "new.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
            for other, content in parts.items():
                archive.writestr(other, closed if other == name else content)
        data = bytearray((folder / "new.xlsx").read_bytes())
        if position < 2000:  # else the archive stays as it is
            data[position : position + len(damage)] = damage
        (folder / "labels.xlsx").write_bytes(data)
        watch.check(lambda: read_spreadsheet(folder / "labels.xlsx", "file"))

    assert run(watch, hold) > 0


def test_gzip() -> None:
    watch = Watch()

    @fuzzed
    @given(rows, st.integers(1, 300), st.binary(max_size=4), st.integers(0, 3000), st.booleans())
    def hold(parts: Parts, size: int, damage: bytes, position: int, raw: bool) -> None:
        text = joined(parts)
        packed = bytearray(text if raw else gzip.compress(text * size, 1 + position % 9))
        packed[position : position + len(damage)] = damage

        def unpack() -> None:
            chunks: Iterator[bytes] = (
                bytes(packed[at : at + size]) for at in range(0, len(packed), size)
            )
            for piece in body.decoded(chunks, "gzip"):
                assert len(piece) <= body.PIECE_BYTES

        watch.check(unpack)

    assert run(watch, hold) > 0


def test_gzip_is_unpacked_as_zlib_does() -> None:
    @given(rows, st.integers(1, 300))
    def hold(parts: Parts, size: int) -> None:
        packed = gzip.compress(joined(parts))
        chunks = (packed[at : at + size] for at in range(0, len(packed), size))
        assert b"".join(body.decoded(chunks, "gzip")) == zlib.decompress(packed, wbits=31)

    hold()
