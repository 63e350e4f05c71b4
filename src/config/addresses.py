"""The host of an address, and addresses without the secrets that they may hold.

Imports only the standard library and errors, so that invalid options fail fast.
"""

import os
import re
from urllib.parse import quote, urlsplit, urlunsplit

from src.config.validation import is_address
from src.errors import UserError

DEFAULT_PORTS = {"http": 80, "https": 443}
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
CONTACT = "download.contact"  # a page, whose address is public
HIDDEN = "***"
ADVICE = {
    "data.tables": "write user and password into ~/.netrc and set data.netrc=true, or give a folder"
    " with the tables",
    "data.manifest": "save the collection or manifest as a file and give that",
}
QUERY = re.compile(r"[?#].+?(?=:?$)")  # without the colon of a message that goes on
URL = re.compile(r"://[^\s\"']+")
BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
IN_PATHS = "%/:@!$&'()*+,;=~"  # what a URI may hold as it is, besides letters, digits and -._
LOGIN = re.compile(r"(?!https?://)[^\s/@]+:[^\s@]*@")  # user:password@host, without http(s)://


def origin(url: str) -> str:
    """Return scheme, host and port of an http(s) URL as text, "" for any other text.

    Hosts are told apart by it. It is written as browsers do (RFC 6454), without a default port.

    >>> origin("HTTPS://me:secret@Museum.org:443/x")
    'https://museum.org'
    """
    if not is_address(url):
        return ""
    parts = urlsplit(url)
    name = (parts.hostname or "").removesuffix(".")  # museum.org. is the same host
    host = f"[{name}]" if ":" in name else name
    port = "" if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def public_uri(text: str) -> str:
    """Return what as_uri does, "" for an address that leads to this machine alone."""
    address = as_uri(text)
    return "" if address and is_local(address) else address


def as_uri(text: str) -> str:
    """Return an http(s) address as a URI (RFC 3986), "" for one with a user, and for other text.

    >>> as_uri("https://museum.org/Künstler_1%.jpg")
    'https://museum.org/K%C3%BCnstler_1%25.jpg'
    >>> as_uri("https://ann:secret@museum.org/"), as_uri("museum.org")
    ('', '')
    """
    if not is_address(text) or has_user(text):
        return ""
    scheme, host, path, query, fragment = urlsplit(BARE_PERCENT.sub("%25", text))
    rest = (quote(path, IN_PATHS), quote(query, f"{IN_PATHS}?"), quote(fragment, f"{IN_PATHS}?"))
    return urlunsplit((scheme, host, *rest))


def file_uri(folder: str, file: str) -> str:
    """Return the URI of a file by its path below a folder, of which folder is the address.

    >>> file_uri("https://museum.org/art", "Künstler/100% #1.jpg")
    'https://museum.org/art/K%C3%BCnstler/100%25%20%231.jpg'
    """
    return f"{folder}/{quote(os.fsencode(file), IN_PATHS.replace('%', ''))}"


def is_local(url: str) -> bool:
    """Return whether a URL names this machine."""
    return urlsplit(url).hostname in LOCAL_HOSTS


def redacted(text: str) -> str:
    """Return text in which user, password and query of every URL are replaced by ***.

    >>> redacted("no answer from https://me:secret@museum.org/x.csv?token=abc")
    'no answer from https://***@museum.org/x.csv?***'
    """
    return URL.sub(_hide, text)


def _hide(found: re.Match[str]) -> str:
    rest = found[0]
    if has_user(rest):  # up to the last @: an unquoted password may hold slashes and another @
        rest = f"://{HIDDEN}@{rest.rpartition('@')[2]}"
    return QUERY.sub(lambda query: query[0][0] + HIDDEN, rest)


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


def check_no_secret(name: str, value: str) -> None:
    """Raise UserError if an option's value holds a URL with a user or, but for a contact, a query.

    Options are stored with every run, and sent to trackers.
    """
    if LOGIN.match(value):
        value = f"https://{value}"
    has_query = name != CONTACT and any(QUERY.search(url) for url in URL.findall(value))
    if has_user(value) or has_query:
        advice = ADVICE.get(name, ADVICE["data.tables"])
        raise UserError(
            f"{name}={redacted(value)}: an address with a user, password, query or fragment is"
            f" refused, because options are stored with every run: {advice}"
        )
