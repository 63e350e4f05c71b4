"""Parse JSON that anybody may have written, in bounded memory."""

import json
from typing import Any

MAX_VALUES = 2_000_000  # values of one document; each takes about 100 bytes
Json = dict[str, Any]


class NotJson(Exception):
    """Content that is not parsed; the message is the reason, one line."""


def as_list(value: Any) -> list[Any]:
    """Return a value that may be a list or a single one as a list."""
    return value if isinstance(value, list) else [value]


def parse_object(content: bytes) -> Json:
    """Return the JSON object that content holds. Raises NotJson.

    Commas and brackets are counted first: they are as many as values, or more where text has some.
    """
    if sum(map(content.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise NotJson(f"more than {MAX_VALUES} values")
    try:
        value = json.loads(content)
    except RecursionError as error:
        raise NotJson("lists and objects too deep in each other") from error
    except ValueError as error:  # also of UTF-8, and for numbers of thousands of digits
        raise NotJson("not JSON") from error
    if not isinstance(value, dict):
        raise NotJson("not a JSON object")
    return value
