"""The rules of one robots.txt for one program (RFC 9309), in bounded time and memory."""

import codecs
import re
from fractions import Fraction
from functools import lru_cache

from protego import Protego

from src.io.decoding import MARKS

MAX_BYTES = 512_000  # of a robots.txt; RFC 9309, 2.5: at least 500 KiB must be parsed
MAX_RULES = 10_000  # for this program: each URL is compared with all of them
PARSED = 8  # rules of that many hosts are kept parsed
MAX_DELAY = 10**8  # seconds, three years: what a host that asks for more is taken to ask for
# Which lines are what, as generous as Protego: the colon may be missing
AGENT = re.compile(r"user[- ]?agent(?:\s*:|\s|$)(.*)", re.IGNORECASE)
WHOLE_SITE = re.compile(r"(?:sitemaps?|site-map|host)(?:\s*:|\s|$)", re.IGNORECASE)
RULE = re.compile(
    r"(?:diss?all?ow|diasllow|disallaw|allow|crawl[- ]delay|request[- ]rate|visit[- ]time)\s|.*:",
    re.IGNORECASE,
)
DELAY = re.compile(r"crawl[- ]delay(?:\s*:|\s)(.*)", re.IGNORECASE)


class Rules:
    """What a robots.txt says to the program named agent.

    Of many agents and rules only the groups for this one are kept: a parser that combines all of
    them takes minutes and gigabytes for a text of n agents, then n rules.
    """

    def __init__(self, data: bytes, agent: str) -> None:
        lines = _own_lines(_decode(data[:MAX_BYTES]), agent.lower())
        # False: what lies beyond a bound may disallow anything
        self.is_complete = len(data) <= MAX_BYTES and len(lines) <= MAX_RULES
        self._text = "\n".join(["User-agent: *", *lines[:MAX_RULES]])
        self.size = len(self._text)
        delays = [match[1] for line in lines if (match := DELAY.match(line))]
        self.delay = max(_last_number(delays), self._seconds_per_request())  # 0 = none is asked for

    def allows(self, url: str) -> bool:
        """Return whether the known rules allow a URL."""
        return _parsed(self._text).can_fetch(url, "*")

    def _seconds_per_request(self) -> float:
        rate = _parsed(self._text).request_rate("*")
        # Of whole numbers of any length: their quotient may be too large for a float
        pause = Fraction(rate.seconds, rate.requests) if rate else Fraction(0)
        return float(min(pause, Fraction(MAX_DELAY)))


@lru_cache(maxsize=PARSED)
def _parsed(text: str) -> Protego:
    """Parse rules, of which 10,000 take 14 MB: those of hosts that were asked last are kept."""
    return Protego.parse(text)


def _decode(data: bytes) -> str:
    """Return the text of UTF-8, as it must be, or of UTF-16 and UTF-32, as it sometimes is."""
    encoding = next((MARKS[mark] for mark in MARKS if data.startswith(mark)), "utf-8")
    # Without NUL characters, UTF-16 without a mark is readable too
    return codecs.decode(data, encoding, "replace").replace("\0", "")


def _own_lines(text: str, agent: str) -> list[str]:
    """Return the lines of all groups for an agent, without comments.

    RFC 9309, 2.2.1: groups for the same agent are one. As in Protego, the longest name counts that
    ours begins with; * only if there is none.
    """
    groups = dict[str, list[str]]()  # by agent, only those that could be for us
    current, has_rules = set[str](), False  # agents of the current group
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if match := AGENT.match(line):
            if has_rules:
                current, has_rules = set(), False
            name = _name(match[1])
            if name == "*" or (name and agent.startswith(name)):
                current.add(name)
                groups.setdefault(name, [])
        elif RULE.match(line) and not WHOLE_SITE.match(line):
            has_rules = True
            for name in current:
                groups[name].append(line)
    best = max(groups, key=lambda name: (name != "*", len(name)), default="")
    return groups.get(best, [])


def _name(value: str) -> str:
    """Return the agent that a line names, without a version or asterisks around it."""
    name = value.strip().lower()
    return name if name == "*" else re.split(r"[/\s]", name.replace("*", ""))[0]


def _last_number(values: list[str]) -> float:
    """Return the last of the texts that are numbers, at most MAX_DELAY; 0 if none is."""
    for value in reversed(values):
        try:
            number = float(value)
        except ValueError:
            continue
        if number >= 0:  # False for NaN
            return min(number, MAX_DELAY)
    return 0.0
