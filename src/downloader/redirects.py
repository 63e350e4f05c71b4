"""Which URLs are requested, and where a redirect leads."""

from urllib.parse import urljoin, urlsplit

import requests

from src.config.addresses import has_user
from src.config.validation import is_address
from src.downloader.errors import Failure, Outcome, invalid_url


def check_url(url: str, status: int | None) -> None:
    """Raise Failure unless a URL may be requested; `status` is that of a redirect that led to it.

    What a URL names as user and password would be sent, in the name of whoever runs the program.
    """
    if not is_address(url):
        raise invalid_url(url, status)
    if has_user(url):
        raise Failure(Outcome.permanent, "a URL with a user or password is refused", status)


def redirect_target(url: str, location: str, status: int) -> str:
    """Return the URL to which a response with a Location redirects. Raises Failure if to none."""
    try:
        # http.client decodes headers as latin-1, but servers send UTF-8 or quoted ASCII
        text = location.encode("latin-1").decode("utf-8", "replace")
        target = urljoin(url, requests.utils.requote_uri(text))
        is_downgrade = urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http"
    except (ValueError, requests.exceptions.InvalidURL) as error:
        raise Failure(Outcome.permanent, "redirect to an invalid URL", status) from error
    if is_downgrade:
        raise Failure(Outcome.permanent, "redirect from https to http", status)
    return target
