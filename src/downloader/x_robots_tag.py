"""The response header X-Robots-Tag: what a host allows to be done with what it has just sent.

No standard defines it. Search engines read it as pairs of directives, for all programs or, behind
a name and a colon, for one; noai and noimageai were added by sites of artists.
"""

import re
from collections.abc import Iterable, Iterator

import requests

from src.downloader.client import AGENT
from src.downloader.errors import Failure, Outcome

# Each says that an image is not to be found by programs, or not to be looked at by a network
FORBIDDING = frozenset({"noindex", "noimageindex", "none", "noai", "noimageai"})
FOLLOWING = FORBIDDING | {"nofollow"}  # also forbids to request what a document names
# What stands before a colon and is no name of a program
VALUED = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
NAMED = re.compile(r"\s*([^\s:]+)\s*:(.*)", re.DOTALL)
MAX_LENGTH = 10_000  # characters of a header that are read


def check_tags(response: requests.Response, forbidding: frozenset[str]) -> None:
    """Raise Failure, a permanent one, if a response names a forbidding directive for us."""
    values = response.raw.headers.getlist("X-Robots-Tag") if response.raw is not None else []
    for directive in directives(values, AGENT):
        if directive in forbidding:
            reason = f"X-Robots-Tag: {directive}"
            raise Failure(Outcome.permanent, reason, response.status_code)


def directives(headers: Iterable[str], agent: str) -> Iterator[str]:
    """Yield the directives for all programs and for agent, in lower case.

    A name holds up to the next name in the same header.

    >>> list(directives(["noai, otherbot: noindex, nofollow", "Me: none"], "me"))
    ['noai', 'none']
    """
    for header in headers:
        name = "*"
        for part in header[:MAX_LENGTH].lower().split(","):
            match = NAMED.match(part)
            if match and match[1] not in VALUED:
                name, part = match[1], match[2]
            if name in ("*", agent.lower()):
                yield part.strip()
