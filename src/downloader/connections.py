"""Connections that keep to the deadline of their request, and to public addresses.

Only what cannot be decided before a connection is decided here: where a name leads. The address
that is checked is the one that is connected to, so no second answer of a name server can differ.
"""

import logging
import queue
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from src.downloader.deadline import Deadline
from src.downloader.errors import Failure, Outcome
from src.downloader.public_addresses import (
    is_link_local,
    is_public,
    names_local_host,
    spelled_address,
)
from src.errors import UserError

# Its warnings repeat headers of the host, with a traceback for each response
logging.getLogger("urllib3").setLevel(logging.ERROR)

Found = tuple[int, int, int, str, Any]  # an answer of socket.getaddrinfo; the last: (address, ...)


@dataclass
class Exchange:
    """What connections have to know of the request that they serve."""

    deadline: Deadline
    allow_local: bool  # whether they may lead to this machine and its network
    peer: str = ""  # the address that was connected to; "" if it is a proxy's

    @property
    def is_local(self) -> bool:
        """Return whether this machine or its network answered."""
        return self.peer != "" and not is_public(self.peer)


_current: ContextVar[Exchange] = ContextVar("exchange")  # of the thread


@contextmanager
def serving(exchange: Exchange) -> Iterator[None]:
    """Make connections of this thread serve a request within the block."""
    token = _current.set(exchange)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Exchange:
    """Return the request that this thread is serving."""
    return _current.get()


def refused(host: str, address: str = "") -> Failure:
    """Return the Failure for a host of this machine or its network."""
    where = f"{host} is at {address}" if address not in ("", host) else host
    reason = "no public address: refused unless data.tables or data.manifest is local"
    if current().allow_local:  # only these are refused then
        reason = "a link-local address: always refused"
    return Failure(Outcome.permanent, f"{where}, {reason}")


def check_host(host: str) -> None:
    """Raise Failure if a host spells out an address that its request may not reach."""
    address = spelled_address(host)
    if current().allow_local:
        if address and is_link_local(address):
            raise refused(host)
    elif names_local_host(host):
        raise refused(host)


class GuardedConnection(HTTPConnection):
    """A connection that is watched, and leads to a public address unless its request says more."""

    peer = ""

    def _new_conn(self) -> socket.socket:
        exchange, host = current(), self._dns_host.strip("[]")
        try:
            found = _resolve(host, self.port, exchange.deadline, self.timeout)
            if self.proxy is None:
                found = _permitted(self.host, found, exchange.allow_local)
            sock = self._connect(found, exchange.deadline)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"no connection after {self.timeout} s") from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error
        sys.audit("http.client.connect", self, self.host, self.port)  # as urllib3 does
        return sock

    def _connect(self, found: Sequence[Found], deadline: Deadline) -> socket.socket:
        """Return a connection to the first address that accepts one. Raises OSError."""
        failed = OSError("the name has no address")
        for family, kind, protocol, _, address in found:
            deadline.check()
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(self.timeout)
                deadline.watch(sock)
                sock.connect(address)
                self.peer = "" if self.proxy else address[0]
                return sock
            except OSError as error:
                sock.close()
                failed = error
        raise failed

    def _tunnel(self) -> None:
        super()._tunnel()
        current().deadline.check()  # the end of the proxy's headers may be that of the connection

    def request(self, *args: Any, **options: Any) -> None:
        """Send a request, watched also if the connection is an old one."""
        exchange = current()
        if self.sock is not None:
            if self.peer and not exchange.allow_local and not is_public(self.peer):
                raise refused(self.host, self.peer)  # opened for a request that might be local
            exchange.deadline.watch(self.sock)
        super().request(*args, **options)
        exchange.peer = self.peer


class GuardedTLSConnection(GuardedConnection, HTTPSConnection):
    """The same with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = GuardedConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = GuardedTLSConnection


POOLS = {"http": _Pool, "https": _TLSPool}


class GuardedAdapter(HTTPAdapter):
    """An adapter with these connections, also to proxies."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools of connections without a proxy."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the pools of connections to a proxy. Raises UserError for one of SOCKS."""
        if proxy.lower().startswith("socks"):
            raise UserError("a SOCKS proxy in the environment is not supported: give an HTTP proxy")
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager


def _resolve(host: str, port: int, deadline: Deadline, timeout: float | None) -> Sequence[Found]:
    """Return what socket.getaddrinfo does, or raise what it raises, TimeoutError if it takes long.

    Nothing can interrupt it, so a thread of its own calls it, and is left behind if need be: the
    system's resolver ends it, after some seconds.
    """
    answers: queue.SimpleQueue[Sequence[Found] | OSError | None] = queue.SimpleQueue()

    def ask() -> None:
        """Put the answer, or the error, into answers."""
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.put(error)
        except UnicodeError:  # a label of the name is empty or too long
            answers.put(socket.gaierror(socket.EAI_NONAME, "invalid name"))

    deadline.wake_by(lambda: answers.put(None))
    threading.Thread(target=ask, daemon=True, name="resolver").start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        answer = None
    deadline.check()
    if answer is None:
        raise TimeoutError
    if isinstance(answer, OSError):
        raise answer
    return answer


def _permitted(host: str, found: Sequence[Found], allow_local: bool) -> Sequence[Found]:
    """Return those of a host's addresses that may be asked. Raises Failure if there are none."""

    def is_permitted(address: str) -> bool:
        """Return whether an address may be asked: no link-local one, whoever names it."""
        return not is_link_local(address) if allow_local else is_public(address)

    permitted = [each for each in found if is_permitted(each[4][0])]
    if found and not permitted:
        raise refused(host, found[0][4][0])
    return permitted
