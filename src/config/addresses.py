"""The host of an address, and addresses without the secrets that they may hold.

Imports only the standard library, so that invalid options fail fast.
"""

import re
from urllib.parse import urlsplit

from src.config.validation import is_address

DEFAULT_PORTS = {"http": 80, "https": 443}
HIDDEN = "***"
# Up to the last @ of a word: a password that nobody has quoted may hold slashes and another @
USER = re.compile(r"(?<=://)[^\s\"']*@")
QUERY = re.compile(r"(://[^\s\"'?]*\?)[^\s\"']+")


def origin(url: str) -> str:
    """Return scheme, host and port of an http(s) URL as text, "" for any other text.

    Hosts are told apart by it. It is written as browsers do (RFC 6454), without a default port.

    >>> origin("HTTPS://me:secret@Museum.org:443/x")
    'https://museum.org'
    """
    if not is_address(url):
        return ""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def redacted(text: str) -> str:
    """Return text in which user, password and query of every URL are replaced by ***.

    >>> redacted("no answer from https://me:secret@museum.org/x.csv?token=abc")
    'no answer from https://***@museum.org/x.csv?***'
    """
    return QUERY.sub(rf"\1{HIDDEN}", USER.sub(f"{HIDDEN}@", text))


def has_user(text: str) -> bool:
    """Return whether a URL in text names a user, well-formed or not.

    An @ behind the host is part of the path, as in https://cdn.net/gh/museum/data@main.
    """
    for part in text.split("://")[1:]:  # also of several URLs, as in the values of a sweep
        rest = re.split(r"[\s\"']", part, maxsplit=1)[0]
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        if "@" in authority or ("@" in rest and not is_address(f"http://{rest}")):
            return True
    return False
