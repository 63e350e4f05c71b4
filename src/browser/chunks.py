"""Data for scripts, as scripts: pages that are opened from a disk may load nothing else.

A chunk is a file data/<name>/<number>.js, which hands its value to the function that loads it in
static/page.js.
"""

import json
import zlib
from base64 import b64encode
from typing import Any

UNSAFE = {sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def chunk(name: str, number: int, value: Any) -> str:
    r"""Return the text of a chunk; no text in value can end the script or begin a tag.

    >>> chunk("titles", 0, ["</script>"])
    'received("titles", 0, ["\\u003c/script\\u003e"])\n'
    """
    text = _json(value)
    for sign, escaped in UNSAFE.items():
        text = text.replace(sign, escaped)
    return f'received("{name}", {number}, {text})\n'


def packed(value: Any) -> str:
    """Return a value as text of a fifth of its size, of which unpacked() in page.js makes it."""
    return b64encode(zlib.compress(_json(value).encode())).decode()


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
