"""Credentials of ~/.netrc and of proxies: who gets them, and that no message repeats them."""

from pathlib import Path

import pytest

from src.config import Config
from src.config.data import Nga
from src.demo.server import served
from src.downloader.client import PoliteClient
from src.downloader.errors import Failure
from src.errors import UserError
from src.gallery.museum import museum_gallery
from tests.support.hosts import BadMuseum, Fault, address, draw_small, get, local_client

SECRET = "hunter2"


def write_netrc(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a file that NETRC names."""
    path.write_text(text)
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))


def test_only_the_host_of_the_tables_gets_the_credentials(
    museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other host has the same name, but another port."""
    write_netrc(tmp_path / "netrc", f"machine 127.0.0.1 login me password {SECRET}", monkeypatch)
    other, client = BadMuseum(draw_small(tmp_path / "o", 1), tmp_path / "o"), local_client()
    client.authorize(f"{museum.address}/data")
    museum.every = Fault("moved elsewhere", times=1)
    with served(other):
        museum.redirect = address(other)
        get(client, address(museum))
    get(client, address(museum))
    assert [h.get("Authorization") for h in museum.headers] == ["Basic bWU6aHVudGVyMg=="] * 2
    assert "Authorization" not in other.headers[0]
    get(local_client(), address(museum))
    assert "Authorization" not in museum.headers[2]  # only if the option says so


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("machine museum.org login me password {}", "has no entry for http://127.0.0.1:"),
        ("machine 127.0.0.1 login me {} password", "cannot be read, line 1"),
        ("{}", "cannot be read, line 1"),
    ],
)
def test_a_file_without_the_host_is_one_line(
    text: str, message: str, museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(tmp_path / "netrc", text.format(SECRET), monkeypatch)
    with pytest.raises(UserError, match=message) as caught:
        PoliteClient().authorize(museum.address)
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("NETRC", "/no/such/file")
    with pytest.raises(UserError, match="has no entry"):
        PoliteClient().authorize(museum.address)


@pytest.mark.parametrize(
    "proxy", [f"http://me:{SECRET}/x@proxy:80", f"http://me:{SECRET}@", f"http://{SECRET}@p:99999"]
)
def test_a_proxy_that_is_no_address_is_one_line_without_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.delenv("http_proxy", raising=False)
    with pytest.raises(UserError, match="HTTP_PROXY has no valid host and port") as caught:
        get(PoliteClient(), "http://museum.invalid/x.jpg")
    assert SECRET not in str(caught.value)


def test_a_proxy_that_does_not_answer_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://me:{SECRET}@127.0.0.1:1")
    monkeypatch.delenv("http_proxy", raising=False)
    with pytest.raises(Failure, match="no response from the proxy") as caught:
        get(PoliteClient(), "http://museum.invalid/x.jpg")
    assert SECRET not in str(caught.value)


def test_the_secret_in_a_redirect_is_not_recorded(museum: BadMuseum) -> None:
    museum.every, museum.redirect = (
        Fault("moved elsewhere"),
        f"ftp://me:{SECRET}@museum.org/?{SECRET}",
    )
    with pytest.raises(Failure, match=r"ftp://\*\*\*@museum.org/\?\*\*\*") as caught:
        get(local_client(), address(museum))
    assert SECRET not in str(caught.value)


def test_the_option_sends_them_with_every_request_to_that_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    museum = BadMuseum(draw_small(tmp_path / "few", 3), tmp_path / "few")
    write_netrc(tmp_path / "netrc", f"machine 127.0.0.1 login me password {SECRET}", monkeypatch)
    with served(museum):
        data = Nga(tables=f"{museum.address}/data", netrc=True)
        cfg = Config(data=data, outputs=str(tmp_path / "outputs"))
        assert len(museum_gallery(cfg)) == 3
    assert [h.get("Authorization") for h in museum.headers] == ["Basic bWU6aHVudGVyMg=="] * 3
    files = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in files)
