"""Requests that no browser sends, to a real server, byte by byte."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.browser.security import HEADERS
from tests.support.browsed import Browsed, read_answer, unharmed

# Addresses that name no page, and the status of their answer
NOTHING = {
    "up from static": "/static/../server.py",
    "up, encoded": "/static/%2e%2e/server.py",
    "up, encoded with the slash": "/static/%2e%2e%2fserver.py",
    "up, encoded twice": "/static/%252e%252e%252fserver.py",
    "up by backslashes": "/static/..%5cserver.py",
    "up to the root": "/static/" + "../" * 40 + "etc/passwd",
    "an absolute path": "/static//etc/passwd",
    "an absolute path, encoded": "/static/%2fetc%2fpasswd",
    "NUL": "/static/page.js%00.css",
    "a name that is too long": "/static/" + "a" * 900,
    "a file as a folder": "/static/page.js/x",
    "the folder itself": "/static/",
    "two slashes": "//0/gallery.html",
    "another host": "//evil.example/0/gallery.html",
    "an absolute address": "http://evil.example/0/gallery.html",
    "another scheme": "file:///etc/passwd",
    "a host alone": "evil.example:80",
    "up from a run": "/0/../../etc/passwd",
    "no run": "/7/gallery.html",
    "a vast run": f"/{'9' * 900}/gallery.html",
    "a negative run": "/-1/gallery.html",
    "an Arabic run": "/%D9%A3/gallery.html",
    "no page": "/0/nothing.html",
    "a template": "/0/base.html",
    "a special name": "/0/__class__.html",
    "no data": "/0/data/nothing/000.js",
    "no chunk": "/0/data/captions/999.js",
    "a negative chunk": "/0/data/captions/-1.js",
    "up from data": "/0/data/..%2f..%2fcaptions/000.js",
    "no kind of picture": "/originals/0/000/3.jpg",
    "no images": "/thumbnails/7/000/3.jpg",
    "no picture": "/thumbnails/0/000/12.jpg",
    "a vast picture": f"/thumbnails/0/000/{'9' * 900}.jpg",
    "an Arabic picture": "/thumbnails/0/000/%D9%A3.jpg",
    "a picture in another folder": "/thumbnails/0/001/3.jpg",
    "a file below outputs": "/outputs/runs",
    "no row": "/0/painting.html",
    "a negative row": "/0/painting.html?row=-1",
    "a row behind the last": "/0/painting.html?row=12",
    "a vast row": "/0/painting.html?row=1e9",
    "an endless row": f"/0/painting.html?row={'9' * 5000}",
    "an Arabic row": "/0/painting.html?row=%D9%A3",
    "no number": "/0/painting.html?row=NaN",
    "a row with a sign": "/0/painting.html?row=%2B3",
    "a row with an underscore": "/0/painting.html?row=1_0",
    "a row that is not UTF-8": "/0/painting.html?row=%FF",
    "a row with NUL": "/0/painting.html?row=3%00",
    "two rows": "/0/painting.html?row=3&row=99",
}


@pytest.fixture(scope="module")
def server(two_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsed]:
    """Return a server of both runs, which must not meet anything unexpected."""
    with unharmed(tmp_path_factory.mktemp("served"), *two_runs) as server:
        yield server


@pytest.mark.parametrize("name", NOTHING)
def test_an_address_of_nothing_is_answered_with_a_page_that_leads_back(
    server: Browsed, name: str
) -> None:
    answer = server.ask(NOTHING[name])
    assert answer.status == 404
    assert b"<h1>Not found</h1>" in answer.body
    assert b'href="/"' in answer.body or b'href="gallery.html"' in answer.body
    assert b"root:" not in answer.body and b"def " not in answer.body


@pytest.mark.parametrize("target", [*NOTHING.values(), "/", "/0/gallery.html", "/static/page.js"])
def test_every_answer_has_the_headers_that_protect(server: Browsed, target: str) -> None:
    answer = server.ask(target)
    assert {name: answer.headers.get(name.lower()) for name in HEADERS} == HEADERS
    assert "server" not in answer.headers
    tag = answer.headers.get("etag")
    if tag:
        again = server.ask(target, f"If-None-Match: {tag}")
        assert again.status == 304
        assert {name: again.headers.get(name.lower()) for name in HEADERS} == HEADERS


def head(host: str, *headers: str, line: str = "GET /0/gallery.html HTTP/1.1") -> bytes:
    """Return a request with other headers, of which {host} stands for the server."""
    lines = [line, *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).replace("{host}", host).encode("latin-1")


REFUSED = {
    "no host": (400, []),
    "two hosts": (400, ["Host: {host}", "Host: evil.example"]),
    "another host": (421, ["Host: evil.example"]),
    "another host with our port": (421, ["Host: evil.example:8050"]),
    "a host that begins like ours": (421, ["Host: 127.0.0.1.evil.example"]),
    "a host that ends like ours": (421, ["Host: evil.localhost"]),
    "a host behind a user": (421, ["Host: {host}@evil.example"]),
    "our host behind a user": (421, ["Host: evil.example@{host}"]),
    "an empty host": (421, ["Host: "]),
    "a host with a path": (421, ["Host: {host}/@evil.example"]),
    "a port that is none": (421, ["Host: localhost:99999"]),
    "an unclosed bracket": (421, ["Host: [::1"]),
    "a huge header": (431, ["Host: {host}", f"X: {'x' * 100_000}"]),
    "thousands of headers": (431, ["Host: {host}", *(f"X-{n}: {n}" for n in range(5000))]),
    "a header without a name": (400, ["Host: {host}", ": x"]),
    "a blank before the colon": (400, ["Host: {host}", "Content-Length : 3"]),
    "a control character": (400, ["Host: {host}", "X: a\0b"]),
    "two kinds of length": (
        400,
        ["Host: {host}", "Content-Length: 3", "Transfer-Encoding: chunked"],
    ),
    "two lengths": (400, ["Host: {host}", "Content-Length: 3", "Content-Length: 4"]),
    "a negative length": (400, ["Host: {host}", "Content-Length: -1"]),
    "a length with a sign": (400, ["Host: {host}", "Content-Length: +3"]),
    "an unknown encoding": (400, ["Host: {host}", "Transfer-Encoding: xchunked"]),
    "another site's script": (403, ["Host: {host}", "Sec-Fetch-Site: cross-site"]),
    "a script of another port": (403, ["Host: {host}", "Sec-Fetch-Site: same-site"]),
    "a frame": (403, ["Host: {host}", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: iframe"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_is_not_from_here_or_not_whole_is_refused(
    server: Browsed, name: str
) -> None:
    status, headers = REFUSED[name]
    assert server.send(head(server.host, *headers)).status == status


GARBAGE = [
    *(
        b"GET /0/gallery.html\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n" * 2,
    ),
    *(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    *(b"GET /0/gallery.html HTTP\r\n\r\n", b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    b"G" * 100_000,
]


@pytest.mark.parametrize("request_", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_request_is_refused(server: Browsed, request_: bytes) -> None:
    assert server.send(request_).status in (400, 405)


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND"]
)
@pytest.mark.parametrize("target", ["/0/gallery.html", "/static/page.js", "*"])
def test_other_methods_are_not_allowed(server: Browsed, method: str, target: str) -> None:
    answer = server.ask(target, method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_what_follows_a_request_of_two_lengths_is_not_read(server: Browsed) -> None:
    smuggled = head(server.host, "Host: {host}", line="GET /0/painting.html?row=3 HTTP/1.1")
    lengths = ["Content-Length: 5", "Transfer-Encoding: chunked"]
    lines = [
        "POST /0/query HTTP/1.1",
        "Host: {host}",
        "Origin: http://{host}",
        *lengths,
        "",
        "0",
        "",
        "",
    ]
    outer = "\r\n".join(lines).replace("{host}", server.host).encode()
    with server.connect() as connection:
        connection.sendall(outer + smuggled)
        assert read_answer(connection).status == 400
        assert connection.recv(1) == b""


def test_a_link_from_another_site_opens_a_page(server: Browsed) -> None:
    headers = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]
    assert server.ask("/0/painting.html?row=3", *headers).status == 200
    assert server.ask("/0/painting.html?row=3", "Upgrade: websocket").status == 200


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8050"])
def test_this_machine_has_several_names(server: Browsed, name: str) -> None:
    assert server.send(head(server.host, f"Host: {name}")).status == 200
