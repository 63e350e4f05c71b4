"""The server of the pages as a process: its socket, its limits, its end."""

import asyncio
import errno
import logging
import os
import socket
import sys
import webbrowser
from argparse import ArgumentTypeError
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from src.browser.security import MAX_HEADER
from src.browser.server import application
from src.browser.site import Site
from src.errors import UserError
from src.runtime.streams import OneLineFormatter, print_lines

MAX_PORT = 65535
TRIED_PORTS = 50  # behind one in use, for one that is free
MAX_CONNECTIONS = 100  # a browser opens six; others are answered with 503
HEAD_SECONDS = 20  # after which a connection without a request is closed
GRACE = 1  # seconds that answers on their way have at the end


def port(text: str) -> int:
    """Return text as a port, 0 for any that is free. Raises ArgumentTypeError if it is none."""
    with suppress(ValueError):
        if 0 <= int(text) <= MAX_PORT:
            return int(text)
    raise ArgumentTypeError(f"a port is a number from 0 to {MAX_PORT}, got {text!r}")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address. Raises UserError if it cannot."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host {host} is no address of this machine: {error}") from error
    try:
        server = socket.create_server(address[:2], family=family, backlog=MAX_CONNECTIONS)
        # asyncio does it only for sockets that name their protocol; without it, the body of each
        # answer waits 40 ms until a client has acknowledged the head
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        return server
    except OSError as error:
        raise UserError(_why_not(error, host, port)) from error


def _why_not(error: OSError, host: str, port: int) -> str:
    """Return why nobody can listen on an address, and the way out."""
    if error.errno == errno.EADDRINUSE:
        free = _free_port(host, port)
        way_out = f"choose another one with make browse PORT={free}, or --port {free}"
        return f"port {port} is in use, perhaps by another browser of runs: {way_out}"
    if error.errno == errno.EACCES:
        return f"port {port} is only for the administrator: choose one from 1024 to {MAX_PORT}"
    # not error.strerror, to which Python adds what it has tried
    reason = os.strerror(error.errno) if error.errno else error
    return f"--host {host} is no address of this machine: {reason}"


def _free_port(host: str, port: int) -> int:
    """Return the next port that is free."""
    for other in range(port + 1, min(port + TRIED_PORTS, MAX_PORT) + 1):
        with suppress(OSError), socket.create_server((host, other)):
            return other
    return 0  # the system chooses


class _Protocol(H11Protocol):
    """uvicorn's, which would wait for ever for the rest of a request's head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._close_if_idle, None)

    def on_response_complete(self) -> None:
        """End an answer."""
        answered = self.cycle
        super().on_response_complete()
        self.loop.call_later(HEAD_SECONDS, self._close_if_idle, answered)

    def _close_if_idle(self, answered: RequestResponseCycle | None) -> None:
        """Close the connection if no request has come since the one that is answered."""
        if self.cycle is answered:
            self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn's, which cuts off requests at the end without a traceback for each."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all connections, after GRACE those that are in use."""
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def serve(site: Site, listening: socket.socket, host: str, is_opened: bool) -> None:
    """Serve a site until Ctrl-C, in a web browser too if is_opened. Closes the socket."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLineFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    settings = uvicorn.Config(
        application(site, host),
        loop="asyncio",
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEADER,
        timeout_graceful_shutdown=GRACE,
    )
    announce(site, listening, is_opened)
    with suppress(KeyboardInterrupt):  # the way to end it
        _Server(settings).run([listening])


def announce(site: Site, listening: socket.socket, is_opened: bool) -> None:
    """Print the address of a site, who can reach it, and open it if is_opened."""
    address, number = listening.getsockname()[:2]
    reached = ip_address(address.partition("%")[0])
    if not reached.is_loopback:
        print(
            f"warning: everybody in the network of {address} can see the images and send queries;"
            " without --host only this machine can",
            file=sys.stderr,
        )
    name = "127.0.0.1" if reached.is_unspecified else f"[{address}]" if ":" in address else address
    runs = site.runs[0].name if len(site.runs) == 1 else f"{len(site.runs)} runs"
    url = f"http://{name}:{number}/"
    print_lines(f"serving {runs} on {url} (Ctrl-C ends)")
    sys.stdout.flush()  # a pipe would hold the line back as long as the server runs
    if is_opened:
        # a thread: some browsers answer only when they are closed
        Thread(target=webbrowser.open, args=[url], daemon=True).start()
