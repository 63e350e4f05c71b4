"""Images sent to the server: what is kept, and what is refused, in a sentence."""

import errno
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from src.browser import uploads
from src.browser.site import NotThere, Site
from src.io.outputs import Outputs
from src.io.unreadable import Unreadable
from tests.support.image_files import encoded, huge, noise

OWN = {"Origin": "http://127.0.0.1:8050"}


def send(client: TestClient, body: bytes, address: str = "/0/query", **headers: str) -> tuple:
    """Return status and JSON."""
    answer = client.post(address, content=body, headers=OWN | headers)
    return answer.status_code, answer.json()


def kept(site: Site) -> set[str]:
    return {path.name for path in site.outputs.queries.glob("??/*")}


def test_an_image_is_kept_by_its_content_and_shown_as_jpeg(client: TestClient, site: Site) -> None:
    body = encoded(noise("a"), "TIFF")
    checksum = hashlib.sha256(body).hexdigest()
    assert send(client, body) == (200, {"location": f"query.html?image={checksum}"})
    status, found = send(client, body, "/1/query?crop=10,20,30,40")
    assert found["location"] == f"query.html?image={checksum}&crop=10%2C20%2C30%2C40"
    assert kept(site) == {checksum}
    answer = client.get(f"/queries/{checksum}.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content[:2] == b"\xff\xd8" != body[:2]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "nothing was sent"),
        (b"<script>alert(1)</script>", 422, "this is no image that can be read: Unidentified"),
        (encoded(noise("a"), "PNG")[:500], 422, "this is no image that can be read: "),
        (bytes(uploads.MAX_BYTES + 1), 413, "more than 30.0 MB is not taken: make it smaller"),
    ],
    ids=["empty", "text", "cut off", "too large"],
)
def test_what_is_no_image_is_refused(
    client: TestClient, site: Site, body: bytes, status: int, text: str
) -> None:
    found, answer = send(client, body)
    assert (found, list(answer)) == (status, ["error"])
    assert text in answer["error"]
    assert "part" not in answer["error"]
    assert not kept(site)


def test_a_bomb_is_refused_before_it_is_decoded(
    client: TestClient, site: Site, tmp_path: Path
) -> None:
    bomb = huge(tmp_path / "bomb.png", 40_000)
    status, answer = send(client, bomb.read_bytes())
    assert status == 422
    assert "1600000000 pixels, more than" in answer["error"]
    assert not kept(site)


def test_a_body_of_another_length_is_refused(client: TestClient, site: Site) -> None:
    body = encoded(noise("a"), "PNG")
    status, answer = send(client, body, **{"Content-Length": str(len(body) + 5)})
    assert (status, kept(site)) == (400, set())
    assert "did not arrive whole" in answer["error"]


def test_endless_bytes_are_not_read_to_their_end(client: TestClient, site: Site) -> None:
    sent = 0

    def parts() -> Iterator[bytes]:
        nonlocal sent
        while sent < 1_000_000_000:
            sent += 1_000_000
            yield bytes(1_000_000)

    class Endless:
        def __init__(self) -> None:
            self.parts = parts()

        async def receive(self) -> dict:
            return {"type": "http.request", "body": next(self.parts), "more_body": True}

    async def ask() -> bytes:
        from starlette.requests import Request

        scope = {"type": "http", "method": "POST", "headers": [], "path_params": {"run": 0}}
        return await uploads._body(Request(scope, Endless().receive))

    import anyio

    with pytest.raises(uploads.TooLarge):
        anyio.run(ask)
    assert sent <= uploads.DRAINED_BYTES + 2_000_000


def test_a_client_that_leaves_leaves_nothing(site: Site) -> None:
    import anyio
    from starlette.requests import Request

    messages = [{"type": "http.request", "body": b"\xff\xd8", "more_body": True}]
    messages.append({"type": "http.disconnect"})

    async def receive() -> dict:
        return messages.pop(0)

    class App:
        class state:  # noqa: N801
            pass

    App.state.site = site
    scope = {"type": "http", "method": "POST", "headers": [], "path_params": {"run": 0}}
    scope |= {"app": App, "query_string": b""}
    answer = anyio.run(uploads.upload, Request(scope, receive))
    assert (answer.status_code, kept(site)) == (400, set())


@pytest.mark.parametrize("address", ["/9/query", "/0/query?crop=nan,0,1,1"])
def test_wrong_addresses(client: TestClient, site: Site, address: str) -> None:
    status, answer = send(client, encoded(noise("a"), "PNG"), address)
    assert status in (400, 404)
    assert answer["error"].startswith(("there is no run 9", "crop must be"))
    assert not kept(site)


def test_only_pages_of_this_server_may_send(client: TestClient, site: Site) -> None:
    body = encoded(noise("a"), "PNG")
    for headers in ({}, {"Origin": "http://evil.example"}):
        assert client.post("/0/query", content=body, headers=headers).status_code == 403
    assert client.get("/0/query").status_code in (404, 405)
    assert not kept(site)


def test_two_at_once_are_both_right(client: TestClient, site: Site) -> None:
    bodies = [encoded(noise(name), "PNG") for name in "abab"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda body: send(client, body), bodies))
    for (status, answer), body in zip(answers, bodies, strict=True):
        assert status == 200
        assert hashlib.sha256(body).hexdigest() in answer["location"]
    assert len(kept(site)) == 2


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "start the browser with another --outputs"),
        (errno.EACCES, "start the browser with another --outputs"),
    ],
)
def test_what_cannot_be_kept_is_told(
    client: TestClient, site: Site, monkeypatch: pytest.MonkeyPatch, number: int, way_out: str
) -> None:
    def failing(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", failing)
    status, answer = send(client, encoded(noise("a"), "PNG"))
    assert status == 507
    assert answer["error"] == f"the image could not be kept: {os.strerror(number)}; {way_out}"
    assert not kept(site)


def test_the_oldest_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, bodies = Outputs(tmp_path), [encoded(noise(name), "PNG") for name in "abcd"]
    monkeypatch.setattr(uploads, "MAX_KEPT", 2)
    for age, body in enumerate(bodies[:3]):
        path = uploads.kept_image(outputs, uploads.keep(body, outputs))
        os.utime(path, (age, age))
    first, second, third = (hashlib.sha256(body).hexdigest() for body in bodies[:3])
    assert uploads.kept_image(outputs, second).is_file()
    uploads.keep(bodies[1], outputs)  # asked again: the newest
    last = uploads.keep(bodies[3], outputs)
    assert uploads.kept_image(outputs, second).parent.name == second[:2]
    for gone in (first, third):
        with pytest.raises(NotThere, match="not here any more"):
            uploads.kept_image(outputs, gone)
    monkeypatch.setattr(uploads, "MAX_KEPT_BYTES", 1)
    uploads.keep(bodies[3], outputs)
    assert [path.name for path in outputs.queries.glob("??/*")] == [last]


@pytest.mark.parametrize("name", ["0" * 63, "Z" * 64, "..%2f..%2fetc%2fpasswd", "0" * 64, "%00"])
def test_unknown_images(client: TestClient, name: str) -> None:
    assert client.get(f"/queries/{name}.jpg").status_code == 404
    assert client.get(f"/0/query.html?image={name}").status_code == 404


def test_the_reason_does_not_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="^UnidentifiedImageError: cannot identify image file$"):
        uploads.keep(b"no image", Outputs(tmp_path))
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    assert uploads.keep((tmp_path / "a.png").read_bytes(), Outputs(tmp_path))
