"""Read small files and arrays that anybody may have written, within bounds of time and memory.

What is damaged, or larger than this program writes it, raises UserError.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from rich import filesize

from src.errors import UserError
from src.io.files import open_if_regular, refused

MAX_TEXT_BYTES = 2**22  # of a JSON or YAML file: a thousand times what a run writes
MAX_NODES = 100_000  # values, names and brackets in a YAML file
MAX_DEPTH = 50  # of lists and mappings in each other
LONG_NUMBER = re.compile(r"[-+]?[0-9][0-9a-fA-Fxo_:]{1000,}")  # Python prints at most 4300 digits
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML may be built without libyaml
# A byte of a file name that is not UTF-8, as PyYAML writes it; libyaml refuses to read it
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
MAX_SURROGATE_BYTES = 2**18  # of a file that the slower loader, written in Python, reads


def damaged(path: Path, reason: object) -> UserError:
    """Return the error for a file that is not what this program writes; it is one line."""
    text = " ".join(str(reason).split())[:200]
    return UserError(f"{path} is damaged, so delete it: {text}")


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises UserError if it is a folder, a pipe, a device or a socket."""
    with refused(path):
        file = open_if_regular(path)
    if file is None:
        raise damaged(path, "not a regular file")
    return file


def read_bytes(path: Path, limit: int = MAX_TEXT_BYTES) -> bytes:
    """Return the content of a file. Raises UserError if it has more than limit bytes."""
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise damaged(path, f"more than {filesize.decimal(limit)}")
    return content


def read_tail(path: Path) -> bytes:
    """Return the last MAX_TEXT_BYTES of a file. Raises UserError."""
    with open_regular(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_TEXT_BYTES))
        return file.read(MAX_TEXT_BYTES)


def check_size(path: Path, limit: int) -> None:
    """Raise UserError if a file is not regular, or has more than limit bytes."""
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise damaged(path, f"more than {filesize.decimal(limit)}")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file. Raises UserError."""
    try:
        return json.loads(read_bytes(path))
    except RecursionError as error:
        raise damaged(path, "lists and mappings too deep in each other") from error
    except ValueError as error:
        raise damaged(path, error) from error


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file of plain values. Raises UserError.

    Tags and aliases, which this program never writes, are refused: a few aliases to aliases stand
    for more values than memory holds.
    """
    content, loader = read_bytes(path), LOADER
    if SURROGATE.search(content):
        content, loader = read_bytes(path, MAX_SURROGATE_BYTES), yaml.SafeLoader
    try:
        _check_events(content, path, loader)
        return yaml.load(content, loader)
    except yaml.MarkedYAMLError as error:
        raise damaged(path, f"{error.problem} {error.problem_mark or ''}") from error
    except (yaml.YAMLError, ValueError) as error:  # the latter: a date such as 2026-99-99
        raise damaged(path, error) from error


def _check_events(content: bytes, path: Path, loader: Any) -> None:
    """Raise UserError if YAML has too many values, too deep in each other, a tag or an alias."""
    depth = 0
    for number, event in enumerate(yaml.parse(content, loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or number > MAX_NODES:
            raise damaged(path, f"more than {MAX_NODES} values, or {MAX_DEPTH} in each other")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None):
            raise damaged(path, "aliases and tags, which this program does not write")
        if isinstance(event, yaml.ScalarEvent) and LONG_NUMBER.fullmatch(event.value):
            raise damaged(path, f"a number of {len(event.value)} digits")
