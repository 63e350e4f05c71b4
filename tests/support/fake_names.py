"""Name servers that answer as a test says."""

import socket
from collections.abc import Callable, Sequence
from typing import Any

import pytest

Resolve = Callable[[str], Sequence[str]]


def answer_names(monkeypatch: pytest.MonkeyPatch, resolve: Resolve) -> list[str]:
    """Resolve each name of *.test by resolve; return a list of the names asked for, which grows."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        if not host.endswith(".test"):
            return real(host, port, *args, **options)  # type: ignore[return-value]
        asked.append(host)
        return [found for ip in resolve(host) for found in real(ip, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked
