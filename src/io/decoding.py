"""Decode text files that other programs and systems wrote, saying what was not plain UTF-8."""

import codecs
import io
import logging
import re
from pathlib import Path

from src.errors import UserError

log = logging.getLogger(__name__)

# Byte order marks; UTF-32's begins with UTF-16's
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
LEGACY_NAMES = {"cp1252": "Windows-1252", "mac_roman": "Mac OS Roman"}
LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
MIN_ZEROS = 0.3  # share of the characters whose upper byte is 0 in UTF-16 of a table


def decode_text(data: bytes, path: Path) -> str:
    """Return the text of a file: UTF-8, UTF-16, UTF-32 or the encoding of an older spreadsheet.

    Lines that are not UTF-8 are Windows-1252, or Mac OS Roman if lines end in a lone \\r, which
    only that system writes; a warning names the first one, and the path. NUL characters are
    removed, with a warning. Raises UserError if the bytes are damaged UTF-16 or UTF-32.
    """
    encoding = next((MARKS[mark] for mark in MARKS if data.startswith(mark)), _utf16_order(data))
    if encoding in (None, "utf-8-sig"):
        text = _decode_lines(data.removeprefix(codecs.BOM_UTF8), path)
    else:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path} is damaged: it starts as {encoding.upper()} text, but byte"
                f" {error.start + 1} is not ({error.reason})"
            ) from error
    if zeros := text.count("\0"):
        log.warning("%s: %d NUL characters are left out", path, zeros)
    return text.replace("\0", "")


def _utf16_order(data: bytes) -> str | None:
    """Return the name of UTF-16 without a mark, None for other encodings.

    Every other byte of it is 0 where characters are ASCII, as separators and line ends are.
    """
    head = data[:4096]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) < MIN_ZEROS * len(head) / 2 or max(even, odd) < 4 * min(even, odd):
        return None
    return ("utf-16-le" if odd > even else "utf-16-be") if head else None


def _decode_lines(data: bytes, path: Path) -> str:
    """Decode each line as UTF-8 or, if it is not, as the encoding of an older spreadsheet."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    legacy = "mac_roman" if b"\r" in data and b"\n" not in data else "cp1252"
    text, first, foreign, number = io.StringIO(newline=""), "", 0, 0
    for number, match in enumerate(LINE.finditer(data), 1):
        line = match[0]
        try:
            text.write(line.decode())
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode()) + 1
            first = first or f"line {number}, column {column} (byte 0x{line[error.start]:02X})"
            text.write(line.decode(legacy, "replace"))
            foreign += 1
    log.warning(
        "%s is not UTF-8 in %d of %d lines, first in %s: these are read as %s. If letters look"
        " wrong, save it as CSV UTF-8",
        *(path, foreign, number, first, LEGACY_NAMES[legacy]),
    )
    return text.getvalue()
