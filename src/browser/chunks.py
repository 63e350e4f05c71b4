"""Data for scripts, as scripts: pages that are opened from a disk may load nothing else.

A chunk is a file data/<name>/<number>.js, which hands its value to the function that loads it in
static/page.js.
"""

import json
from typing import Any

UNSAFE = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def chunk(name: str, number: int, value: Any) -> str:
    r"""Return the text of a chunk; no text in value can end the script or begin a tag.

    >>> chunk("titles", 0, ["</script>"])
    'received("titles", 0, ["\\u003c/script\\u003e"])\n'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return f'received("{name}", {number}, {text.translate(UNSAFE)})\n'
