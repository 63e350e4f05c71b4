"""Errors as a sentence on a page."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from src.browser.site import NotThere, Site
from src.errors import UserError

log = logging.getLogger(__name__)

HEADINGS = {404: "Not found", 500: "This page cannot be shown"}
UNEXPECTED = (
    "An error that nobody has foreseen: the terminal in which the server runs shows where, and the"
    " other pages go on."
)
# What a page says where Starlette only knows the name of a status
SENTENCES = {404: "There is no such page.", 405: "Nothing can be sent to this address."}
Handler = Callable[[Request, Exception], HTMLResponse]


def error_handlers(site: Site) -> dict[type[Exception], Handler]:
    """Return how a server answers the exceptions of its pages, by class."""

    def not_there(request: Request, error: Exception) -> HTMLResponse:
        """Answer NotThere."""
        return error_page(site, 404, str(error))

    def refused(request: Request, error: Exception) -> HTMLResponse:
        """Answer an HTTPException."""
        assert isinstance(error, HTTPException)
        return refusal_page(site, error)

    def mendable(request: Request, error: Exception) -> HTMLResponse:
        """Answer what a user can mend, such as a file of the run that was deleted."""
        text = str(error)
        if isinstance(error, OSError):
            text = f"{error.filename or 'a file'} cannot be read: {error.strerror or error}"
        log.warning("%s: %s", request.scope["path"], text)
        return error_page(site, 500, text)

    def unexpected(request: Request, error: Exception) -> HTMLResponse:
        """Answer a bug, whose traceback the server logs."""
        return error_page(site, 500, UNEXPECTED)

    return {
        HTTPException: refused,
        NotThere: not_there,
        UserError: mendable,
        OSError: mendable,
        Exception: unexpected,
    }


def refusal_page(site: Site, refusal: HTTPException) -> HTMLResponse:
    """Return the page of a request that is refused."""
    status, text = refusal.status_code, refusal.detail
    if text == HTTPStatus(status).phrase:
        text = SENTENCES.get(status, text)
    return error_page(site, status, text, refusal.headers)


def error_page(
    site: Site, status: int, text: str, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """Return a page with one sentence and a link to the first page."""
    heading = HEADINGS.get(status, "This is not allowed")
    template = site.environment.get_template("error.jinja")
    return HTMLResponse(template.render(heading=heading, text=text), status, headers)
