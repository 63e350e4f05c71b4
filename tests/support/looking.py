"""A page of the browser in Chromium, watched for all that must not happen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request, Response

DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 60_000  # milliseconds: the first query loads the network, beside other tests
ABORTED = "net::ERR_ABORTED"  # a request that was open when the test went to another page
INNER = ("data:", "blob:")  # addresses that lead nowhere


@dataclass
class Look:
    """A page that looks at a site, by server or in its exported files."""

    page: "Page"
    base: str  # the address of the folder of all pages, with a slash at the end
    kind: str  # "server" or "files"
    problems: list[str] = field(default_factory=list)  # of all pages of its context

    @property
    def is_server(self) -> bool:
        """Return whether the pages are served."""
        return self.kind == "server"

    def address(self, name: str, run: int = 0, **parameters: object) -> str:
        """Return the address of a page."""
        return f"{self.base}{run}/{name}.html{'?' if parameters else ''}{urlencode(parameters)}"

    def go(self, name: str, run: int = 0, **parameters: object) -> "Page":
        """Open a page and wait until it is complete."""
        self.page.goto(self.address(name, run, **parameters))
        return self.complete()

    def complete(self) -> "Page":
        """Wait until the page has its body, as an export loads it."""
        self.page.locator("main h1").first.wait_for()
        return self.page

    def at(self, name: str, run: int = 0) -> Callable[[str], bool]:
        """Return whether an address is that of a page, whatever its parameters."""
        return lambda url: url.split("?")[0].split("#")[0] == self.address(name, run)

    def arrives(self, name: str, run: int = 0) -> "Page":
        """Wait until another page is there."""
        self.page.wait_for_url(self.at(name, run))
        return self.complete()


def watch(context: "BrowserContext", base: str) -> list[str]:
    """Return the list that gets what goes wrong on the pages of a context.

    That is what the console shows as an error or a warning, what scripts do not catch, requests
    that fail or are refused, and those that lead elsewhere.
    """
    problems = list[str]()

    def leads_elsewhere(request: "Request") -> None:
        """Note a request that is not for a file of the site."""
        if not request.url.startswith((base, *INNER)):
            problems.append(f"request to {request.url}")

    def fails(request: "Request") -> None:
        """Note a request that gets no answer."""
        if request.failure != ABORTED:
            problems.append(f"{request.url}: {request.failure}")

    def refuses(response: "Response") -> None:
        """Note an answer that is an error."""
        if response.status >= 400:
            problems.append(f"{response.url}: {response.status}")

    context.on("request", leads_elsewhere)
    context.on("requestfailed", fails)
    context.on("response", refuses)
    context.on("weberror", lambda error: problems.append(f"uncaught: {error.error}"))
    context.on("console", lambda m: m.type in ("error", "warning") and problems.append(m.text))
    return problems


@contextmanager
def looking(chromium: "Browser", base: str, kind: str, **options: object) -> Iterator[Look]:
    """Open an empty page for the block, in a context of its own; fail if anything goes wrong."""
    from playwright.sync_api import expect

    context = chromium.new_context(**{"viewport": DESKTOP} | options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE / 2)
    look = Look(context.new_page(), base, kind, watch(context, base))
    try:
        yield look
        assert not look.problems
    except Exception as error:
        error.add_note("\n".join(["problems of the pages:", *look.problems]))
        raise
    finally:
        context.close()


def drawn(look: Look, run: int = 0, **parameters: object) -> "Page":
    """Open the map and wait until it is drawn."""
    page = look.go("map", run, **parameters)
    page.locator("#map[data-drawn]").wait_for(state="attached")
    return page
