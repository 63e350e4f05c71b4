"""A site: the runs that are open, and how a view becomes a page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from src import __version__
from src.browser.addresses import page_address
from src.browser.facts import facts
from src.browser.moved import missing_from
from src.browser.opened import OpenRun
from src.errors import UserError
from src.io.outputs import Outputs
from src.reporting.text import counted, printable_value

Parameters = Mapping[str, str]  # of an address, of each name the last value


class NotThere(UserError):
    """The address names a run, a page or a row that does not exist."""


class Page(NamedTuple):
    """What a view returns."""

    title: str
    body: str  # the template of the page's body
    context: dict[str, Any]  # what the template shows; `scripts` are files of static/


View = Callable[["Site", OpenRun, Parameters], Page]


@dataclass(frozen=True)
class Site:
    """The open runs, and where pictures are cached.

    A static site is written to files: pages that need the program say how to start it.
    """

    runs: list[OpenRun]
    outputs: Outputs
    navigation: Sequence[tuple[str, str]] = ()  # pages that every page links to, with their texts
    is_static: bool = False
    judge: str = ""  # who says yes and no to neighbors
    _facts: dict[int, dict[str, Any]] = field(default_factory=dict)  # by number of the run

    def run(self, number: int) -> OpenRun:
        """Return an open run. Raises NotThere."""
        if not 0 <= number < len(self.runs):
            raise NotThere(f"there is no run {number}: the runs are 0 to {len(self.runs) - 1}")
        return self.runs[number]

    @cached_property
    def environment(self) -> Environment:
        """Return the templates, with the functions that they call."""
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=printable_value,
            auto_reload=False,  # it would look at the files for each page
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["counted"] = counted
        environment.globals |= {
            "page_address": page_address,
            "site": self,
            "version": __version__,
            "navigation": self.navigation,
        }
        return environment

    def render(self, run: OpenRun, name: str, page: Page) -> str:
        """Return the HTML of a page called name, with navigation and facts of the run."""
        return self.environment.get_template("base.jinja").render(
            run=run,
            name=name,
            title=page.title,
            body=page.body,
            facts=self.facts(run),
            missing_from=missing_from(run),
            **page.context,
        )

    def detail(self, text: object) -> str:
        """Return what ends a sentence for who runs the server, "" in pages that may be published.

        Errors name files, and where those lie is nobody's affair.
        """
        return "" if self.is_static else f": {text}"

    def facts(self, run: OpenRun) -> dict[str, Any]:
        """Return what stands at the foot of a run's pages, read once."""
        if run.number not in self._facts:
            self._facts[run.number] = facts(run)
        return self._facts[run.number]

    def render_body(self, run: OpenRun, page: Page) -> str:
        """Return the HTML of the page's body alone."""
        return self.environment.get_template(page.body).render(run=run, **page.context)


def row_of(run: OpenRun, parameters: Parameters) -> int:
    """Return the row that an address names. Raises NotThere."""
    text = parameters.get("row", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and int(text) < len(run)):
        raise NotThere(f"row must be between 0 and {len(run) - 1}, got {text or 'nothing'}")
    return int(text)
