"""What the environment adds to requests: proxies, certificates, credentials of ~/.netrc."""

from base64 import b64encode
from collections.abc import Mapping
from netrc import NetrcParseError
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.utils import get_netrc_auth

from src.config.addresses import is_local, origin
from src.errors import UserError


def netrc_header(url: str) -> dict[str, str]:
    """Return the Authorization header that ~/.netrc has for the host of a URL.

    Raises UserError if it has none. No message repeats a part of the file.
    """
    try:
        found = get_netrc_auth(url, raise_errors=True)
    except (NetrcParseError, OSError, UnicodeError) as error:
        line = error.lineno if isinstance(error, NetrcParseError) else None
        place = f", line {line}" if line else ""
        raise UserError(
            f"data.netrc=true: ~/.netrc, or the file that NETRC names, cannot be read{place}: it"
            " takes lines like machine <host> login <user> password <password>, and other users"
            " must not be able to read it (chmod 600)"
        ) from None
    if found is None:
        raise UserError(
            f"data.netrc=true: ~/.netrc, or the file that NETRC names, has no entry for"
            f" {origin(url)}: add the line machine {urlsplit(url).hostname} login <user> password"
            " <password>, or set data.netrc=false"
        )
    return {"Authorization": "Basic " + b64encode(":".join(found).encode()).decode()}


def environment_settings(url: str) -> dict[str, Any]:
    """Return the environment's proxies, verify and cert for the host of a URL; none for localhost.

    Raises UserError if a proxy has no valid address.
    """
    with requests.Session() as session:
        session.trust_env = not is_local(url)
        merged = session.merge_environment_settings(origin(url), {}, True, None, None)
    _check_proxies(merged["proxies"])
    return {name: merged[name] for name in ("proxies", "verify", "cert")}


def _check_proxies(proxies: Mapping[str, str]) -> None:
    """Raise UserError if a proxy of the environment, by scheme, has no valid host and port."""
    for scheme, proxy in proxies.items():
        if scheme == "no":
            continue
        try:
            parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
            is_valid = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_valid = False
        if not is_valid:
            raise UserError(
                f"the proxy of the environment's {scheme.upper()}_PROXY has no valid host and port:"
                " write http://<user>:<password>@<host>:<port>, with %40, %3A and %2F for @, : and"
                " / in user and password"
            )
