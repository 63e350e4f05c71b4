"""Rules of robots.txt: those for us, as another parser reads them, in bounded time and memory."""

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego

from src.downloader import robots as robots_module
from src.downloader.errors import Failure, Outcome
from src.downloader.rate_limiter import RateLimiter
from src.downloader.robots import Robots
from src.downloader.robots_rules import MAX_BYTES, MAX_DELAY, MAX_RULES, Rules

US = "painting-similarity"
PATHS = ["/", "/a", "/a/b", "/a/b.jpg", "/b", "/b?a=b", "/%61/b", "/a%2Fb", "/é", "/a$b"]
agents = st.sampled_from(
    [US, US.title(), "painting*", "PAINT", "*", "**", "", "other", "painting2"]
)
rules = st.tuples(
    st.sampled_from(["Disallow", "disallow", "Allow", "ALLOW", "dissallow"]),
    st.sampled_from(["", "/", "/a", "/a/*", "*.jpg$", "/b?", "/%61", "/a%2fb", "/é", "/*$b", "b$"]),
)
values = st.tuples(
    st.sampled_from(["Crawl-delay", "crawl delay", "Request-rate"]),
    st.sampled_from(["1", "2.5", "-1", "nan", "0", "x", "1/5", "2/1m", "1/0", "3/9s 0100-0200"]),
)
noise = st.sampled_from(
    [("Sitemap", "http://x/y"), ("Host", "x"), ("Noindex", "/"), ("", ""), ("hello", "you")]
)
lines = st.tuples(
    st.tuples(st.just("User-agent") | st.just("user agent"), agents) | rules | values | noise,
    st.sampled_from([":", ": ", " : ", " "]),
    st.sampled_from(["", " ", "# note", " # User-agent: *"]),
).map(lambda line: f"{line[0][0]}{line[1]}{line[0][1]}{line[2]}")


@given(st.lists(lines, max_size=12), st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\u2028"]))
def test_the_groups_for_us_say_what_the_whole_text_says(texts: list[str], end: str) -> None:
    text = end.join(texts)
    whole, own = Protego.parse(text), Rules(text.encode(), US)
    for path in PATHS:
        url = f"https://museum{path}"
        assert own.allows(url) == whole.can_fetch(url, US), (path, text)
    rate = whole.request_rate(US)
    delay = rate.seconds / rate.requests if rate else 0
    assert own.delay == max(whole.crawl_delay(US) or 0, delay)
    assert own.is_complete


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (f"User-agent: {US}/0.1 python-requests\nDisallow: /", False),
        (f"User-agent: *\nDisallow: /\n\nUser-agent: {US}\nAllow: /", True),
        (f"User-agent: {US}\nDisallow: /b\nUser-agent: *\nUser-agent: {US}\nDisallow: /a", False),
        (f"User-agent: my-{US}\nDisallow: /", True),
        (f"User-agent: {US}s\nDisallow: /", True),
        ("User-agent: *\0\nDis\0allow: /\0", False),
    ],
)
def test_a_group_is_ours_by_our_name(text: str, allowed: bool) -> None:
    assert Rules(text.encode(), US).allows("https://museum/a") == allowed


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_read(encoding: str) -> None:
    assert not Rules("User-agent: *\nDisallow: /a".encode(encoding), US).allows("https://museum/a")


@pytest.mark.parametrize(
    ("line", "delay"),
    [
        ("Crawl-delay: nan", 0),
        ("Crawl-delay: -inf", 0),
        ("Crawl-delay: -5", 0),
        ("Crawl-delay: inf", MAX_DELAY),
        ("Crawl-delay: 1e999", MAX_DELAY),
        ("Crawl-delay: " + "9" * 100_000, MAX_DELAY),
        ("Crawl-delay: 3\nCrawl-delay: soon", 3),
        ("Request-rate: 1/" + "9" * 4000, MAX_DELAY),
        ("Request-rate: " + "9" * 4000 + "/1", 0),
        ("Request-rate: " + "4" * 4000 + "/" + "8" * 4000, 2),
        ("Request-rate: 1/" + "9" * 5000, 0),  # more digits than Python reads
        ("Request-rate: -1/5", 0),
        ("Request-rate: 1/0", 0),
        ("Request-rate: 5", 0),
    ],
)
def test_odd_rates_are_left_out_or_the_slowest(line: str, delay: float) -> None:
    assert Rules(f"User-agent: *\n{line}".encode(), US).delay == delay


def many(name: str, count: int, value: str = "{}") -> str:
    return "".join(f"{name}: {value.format(number)}\n" for number in range(count))


LONG = "https://museum/" + "a" * 2000
HOSTILE = {  # texts and whether the URL LONG is allowed
    "agents and rules": (many("User-agent", 11_500, "a{}") + many("Disallow", 11_500, "/{}"), True),
    "our agents": (
        "".join(f"User-agent: {US[: 1 + n % len(US)]}\n" for n in range(9000))
        + many("Disallow", MAX_RULES - 1, "/{}"),
        True,
    ),
    "groups": (
        "".join(f"User-agent: a{n}\nUser-agent: *\nDisallow: /{n}\n" for n in range(9000)),
        True,
    ),
    "asterisks": ("User-agent: *\nDisallow: /" + "*a" * 240_000 + "$", True),
    "asterisks that fit": ("User-agent: *\nDisallow: /" + "*a" * 1999 + "*", False),
    "asterisks in many rules": (
        "User-agent: *\n" + many("Disallow", 9999, "/*a*a*a*a*a*a*a*aab{}"),
        True,
    ),
    "percents": ("User-agent: *\nDisallow: /" + "%61" * 160_000, True),
    "an agent without end": ("User-agent: " + "* " * 200_000 + "\nDisallow: /", True),
    "a line without end": ("User-agent" + " " * 500_000 + "x", True),
    "blank lines": ("\n" * 500_000, True),
    "colons": (":\n" * 250_000, True),
}


@pytest.mark.parametrize(("text", "allowed"), HOSTILE.values(), ids=HOSTILE)
def test_no_text_takes_much_time_or_memory(text: str, allowed: bool) -> None:
    data, start = text.encode(), time.process_time()
    assert len(data) <= MAX_BYTES
    found = Rules(data, US)
    assert (found.allows(LONG), found.is_complete) == (allowed, True)
    assert time.process_time() - start < 2
    tracemalloc.start()
    Rules(data, US)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80e6


@pytest.mark.parametrize(
    "rest",
    [
        "# more\n" * 100_000,
        many("Disallow", MAX_RULES + 1, "/x{}"),
        "Allow: /\n" * (MAX_RULES + 1),
    ],
)
def test_beyond_a_bound_nothing_is_known_to_be_allowed(rest: str) -> None:
    text = f"User-agent: *\nDisallow: /no\n{rest}".encode()
    robots = Robots(US, RateLimiter(0), lambda url, max_bytes: text)
    with pytest.raises(Failure, match="disallowed by robots.txt of museum"):
        robots.check("https://museum/no")
    for _ in range(2):
        with pytest.raises(
            Failure, match="robots.txt of museum is not read to its end: more than "
        ):
            robots.check("https://museum/yes")


def test_the_rules_of_many_hosts_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"User-agent: *\n{many('Disallow', 1000, '/*a*a*a{}')}".encode()
    monkeypatch.setattr(robots_module, "MAX_TOTAL", 25 * len(text))
    robots = Robots(US, RateLimiter(0), lambda url, max_bytes: text)
    tracemalloc.start()
    for number in range(24):
        robots.check(f"https://museum{number}/yes")
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 12e6  # all of them parsed take 1.4 MB each
    with pytest.raises(Failure, match="the rules of all hosts exceed"):
        for number in range(24, 30):
            robots.check(f"https://museum{number}/yes")
    robots.check("https://museum0/yes")  # known before


def test_others_may_have_any_number_of_rules() -> None:
    text = f"User-agent: other\n{many('Disallow', 20_000, '/{}')}\nUser-agent: *\nDisallow: /no"
    robots = Robots(US, RateLimiter(0), lambda url, max_bytes: text.encode())
    robots.check("https://museum/yes")
    with pytest.raises(Failure) as caught:
        robots.check("https://museum/no")
    assert caught.value.outcome is Outcome.permanent
