"""What the server answers to whom.

A server on 127.0.0.1 is within reach of every web page that is open on this machine. Such a page
may link here, but load, embed or send nothing. What its own domain name leads to this server, by a
change of its DNS entry, is refused by the header Host.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
METHODS = ("GET", "HEAD", "POST")
LOCAL = ("127.0.0.1", "localhost", "::1")
MAX_HEADER = 2**14  # bytes of address and headers
MAX_PATH = 1000  # bytes; Python refuses to read a number of more than 4300 digits
Answer = Callable[[HTTPException], Response]


def guarded(app: ASGIApp, answer: Answer, host: str) -> ASGIApp:
    """Return app behind check, with HEADERS on every answer.

    `host` is the address that the server listens on; `answer` makes the page of a refusal.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it with the reason why not."""

        async def with_headers(message: Message) -> None:
            """Send a message of an answer."""
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                # after a start with another run, the same address means something else
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        if scope["type"] != "http":  # the start and the end of the server
            await app(scope, receive, send)
            return
        try:
            check(scope, host)
        except HTTPException as refusal:
            await answer(refusal)(scope, receive, with_headers)
        else:
            await app(scope, receive, with_headers)

    return guard


def check(scope: Scope, host: str) -> None:
    """Raise HTTPException for a request that is not from here, or that no browser sends."""
    method, path, headers = scope["method"], scope["raw_path"], Headers(scope=scope)
    size = len(path) + len(scope["query_string"]) + sum(map(len, chain(*headers.raw)))
    if method not in METHODS:
        raise HTTPException(405, f"There is no {method} here.", {"Allow": ", ".join(METHODS)})
    if len(path) > MAX_PATH:
        raise HTTPException(414, f"An address has at most {MAX_PATH} bytes.")
    if size > MAX_HEADER:
        raise HTTPException(431, f"Address and headers have at most {MAX_HEADER} bytes.")
    if "transfer-encoding" in headers and "content-length" in headers:
        # which of them ends the body is for others to guess, so what follows is not read
        raise HTTPException(400, "The request has two lengths.", {"Connection": "close"})
    names = headers.getlist("host")
    if len(names) != 1 or not is_trusted(names[0], host):
        asked = " and ".join(names) or "no name"
        way_out = "open the address that it has printed, or start it with --host NAME."
        raise HTTPException(421, f"This server does not answer to {asked}: {way_out}")
    _check_origin(method, headers)


def is_trusted(name: str, host: str) -> bool:
    """Return whether a header Host, with any port, is of a server that listens on host.

    An address in digits cannot lead elsewhere tomorrow, so a server for all networks trusts those.

    >>> is_trusted("localhost:8050", "127.0.0.1"), is_trusted("evil.example", "127.0.0.1")
    (True, False)
    >>> is_trusted("192.168.1.5:8050", "127.0.0.1"), is_trusted("192.168.1.5:8050", "0.0.0.0")
    (False, True)
    """
    try:
        parts = urlsplit(f"//{name}")
        asked, _ = parts.hostname, parts.port  # reading the port checks it
    except ValueError:
        return False
    if not asked or not name.isascii() or parts.username is not None or parts.netloc != name:
        return False
    address = _address(host)
    everywhere = address is not None and address.is_unspecified and _address(asked) is not None
    return asked in LOCAL or asked == host.lower() or everywhere


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address in digits, None for a name."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _check_origin(method: str, headers: Headers) -> None:
    """Raise HTTPException for what a page of another site loads or sends.

    Browsers tell in Sec-Fetch-Site and, with a POST, in Origin which site asks; no page can change
    them. "null" is the origin of a form here as well, as pages here send no referrer.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    is_own = origin == f"http://{headers['host']}"
    if method == "POST":
        is_from_here = site in (None, "same-origin") and (is_own or origin in (None, "null"))
        if not is_from_here or not (is_own or site == "same-origin"):
            raise HTTPException(403, "Only pages of this server may send anything to it.")
    elif site in ("cross-site", "same-site") and headers.get("sec-fetch-dest") != "document":
        raise HTTPException(403, "Other sites may link to this server, but not load from it.")
