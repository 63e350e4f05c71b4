"""Rows and redirects reach the public internet only, unless the tables are on a local host."""

import re
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.demo.server import served
from src.downloader import connections
from src.downloader.client import PoliteClient, RetryPolicy
from src.downloader.errors import Failure, Outcome
from src.downloader.public_addresses import is_public, names_local_host
from src.downloader.redirects import check_url, redirect_target
from tests.support.fake_names import answer_names
from tests.support.hosts import BadMuseum, Fault, address, draw_small, get, local_client

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101", "2002:101:101::"]
LOCAL = [  # each kind of the registries of special addresses
    *("127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "10.0.0.5", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1"),
    *("203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "::7f00:1", "fe80::1", "fe80::1%lo", "fec0::1", "fc00::1", "fd12:3456::1"),
    *("ff02::1", "2001:db8::1", "3fff::1", "2001::1", "100::1", "4000::1", "64:ff9b:1::a00:1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("2002:7f00:1::", "2002:c0a8:101::1"),
]
SPELLINGS = ["2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.1", "0", "127.0.0.1."]
NAMES = ["localhost", "LocalHost.", "a.localhost"]
NOT_SENT = "no public address: refused unless data.tables or data.manifest is local"

LINK_LOCAL = "a link-local address: always refused"


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Refuse every connection; return the list of the addresses that were to be connected to."""
    addresses: list[str] = []

    class Socket(socket.socket):
        def connect(self, to: tuple[str, int]) -> None:  # type: ignore[override]
            addresses.append(to[0])
            raise ConnectionRefusedError

    monkeypatch.setattr(connections.socket, "socket", Socket)
    return addresses


def test_public_and_local_addresses_are_told_apart() -> None:
    assert [ip for ip in PUBLIC if not is_public(ip)] == []
    assert [ip for ip in LOCAL if is_public(ip)] == []
    assert [host for host in SPELLINGS + NAMES if not names_local_host(host)] == []
    assert [
        h for h in ("museum.org", "1.1.1.1", "16843009", "x.local") if names_local_host(h)
    ] == []


@pytest.mark.parametrize("ip", LOCAL)
def test_a_name_that_leads_to_a_local_address_is_refused(
    ip: str, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    found = [(family, socket.SOCK_STREAM, 6, "", (ip, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
    with pytest.raises(Failure, match=f"museum.test is at {ip}, {NOT_SENT}") as caught:
        get(PoliteClient(), "http://museum.test/x.jpg")
    assert caught.value.outcome is Outcome.permanent
    assert connected == []


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:1"])
@pytest.mark.parametrize("host", ["169.254.169.254", "0xa9fea9fe", "[fe80::1]", "[::ffff:a9fe:1]"])
def test_a_link_local_address_is_refused_whoever_names_it(
    host: str, proxy: str, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy)
    with pytest.raises(Failure, match=f"{re.escape(host.strip('[]'))}, {LINK_LOCAL}") as caught:
        get(local_client(), f"http://{host}/x.jpg")
    assert caught.value.outcome is Outcome.permanent
    assert connected == []


def test_of_the_addresses_of_a_local_name_link_local_ones_are_not_tried(
    connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["169.254.1.1", "10.0.0.1", "fe80::1%lo", "64:ff9b::a9fe:a9fe"]
    answer_names(monkeypatch, lambda host: answers)
    with pytest.raises(Failure, match="connection refused"):
        get(local_client(), "http://museum.test/x.jpg")
    assert set(connected) == {"10.0.0.1"}
    answers.remove("10.0.0.1")
    with pytest.raises(Failure, match=f"museum.test is at 169.254.1.1, {LINK_LOCAL}"):
        get(local_client(), "http://museum.test/x.jpg")


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:1"])
@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.5", "[::1]", *SPELLINGS, *NAMES])
def test_a_host_that_spells_out_a_local_address_is_refused(
    host: str, proxy: str, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy)
    with pytest.raises(Failure, match=NOT_SENT):
        get(PoliteClient(), f"http://{host}/x.jpg")
    assert connected == []


def test_the_proxy_may_be_local_and_resolves_names(
    museum: BadMuseum, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, museum.address)
    asked = answer_names(monkeypatch, lambda host: [])
    with pytest.raises(Failure, match="404 Not Found"):
        get(PoliteClient(), "http://museum.test/x.jpg")
    assert asked == []


def test_the_address_that_was_checked_is_connected_to(
    connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name server changes its answer between the check and the connection."""
    answers: list[Sequence[str]] = [["93.184.216.34"], ["127.0.0.1"]] * 2
    asked = answer_names(monkeypatch, lambda host: answers.pop(0))
    client = PoliteClient()
    for reason in ("connection refused", NOT_SENT) * 2:
        with (
            pytest.raises(Failure, match=reason),
            client.get("http://museum.test/x.jpg", robots=False),
        ):
            pass
    assert len(asked) == 4
    assert connected == ["93.184.216.34"] * 2


def test_an_open_connection_to_a_local_host_is_not_used_for_rows(
    museum: BadMuseum, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was opened for tables, whose address the user gave."""
    answer_names(monkeypatch, lambda host: ["127.0.0.1"])
    client, url = PoliteClient(), address(museum).replace("127.0.0.1", "museum.test")
    with client.get(url, robots=False, named=True) as response:
        assert b"".join(client.iter_body(response, 10**6))
    with pytest.raises(Failure, match=NOT_SENT), client.get(url, robots=False):
        pass
    assert len(museum.log) == 1


def test_of_several_addresses_only_public_ones_are_tried(
    connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_names(monkeypatch, lambda host: ["10.0.0.1", "1.1.1.1", "127.0.0.1", "::1", "1.0.0.1"])
    with pytest.raises(Failure, match="connection refused"):
        get(PoliteClient(), "https://museum.test/x.jpg")
    assert connected == ["1.1.1.1", "1.0.0.1"]


@pytest.fixture
def public(museum: BadMuseum, monkeypatch: pytest.MonkeyPatch) -> BadMuseum:
    """The museum at 127.0.0.1 as if this were a public address; no other of this machine is."""
    monkeypatch.setattr(connections, "is_public", lambda ip: ip == "127.0.0.1" or is_public(ip))
    return museum


@pytest.mark.parametrize("named", [False, True])
def test_a_redirect_of_a_public_host_does_not_reach_a_local_one(
    named: bool, public: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_names(monkeypatch, lambda host: ["127.0.0.2"])
    public.every = Fault("moved elsewhere")
    port = public.server_port
    for host in ("127.0.0.2", "museum.test", "[::ffff:127.0.0.2]", "0x7f.2"):
        public.redirect = f"http://{host}:{port}/x.jpg"
        with (
            pytest.raises(Failure, match=NOT_SENT),
            PoliteClient().get(address(public), robots=not named, named=named),
        ):
            pass


def test_a_redirect_of_a_local_host_that_the_user_named_may_reach_another(
    museum: BadMuseum, tmp_path: Path
) -> None:
    other = BadMuseum(draw_small(tmp_path / "o", 1), tmp_path / "o")
    museum.every, museum.redirect = Fault("moved elsewhere"), address(other)
    with (
        served(other),
        PoliteClient().get(address(museum), robots=False, named=True) as response,
    ):
        assert response.status_code == 200
    with pytest.raises(Failure, match=NOT_SENT):
        get(PoliteClient(), address(museum))


@pytest.mark.parametrize("user", ["me:hunter2@", "me@", ":@", "@", "me%40x:y@"])
def test_user_and_password_of_a_location_are_not_sent(user: str, museum: BadMuseum) -> None:
    museum.every = Fault("moved elsewhere", times=1)
    museum.redirect = address(museum).replace("http://", f"http://{user}")
    with pytest.raises(Failure, match="a URL with a user or password is refused"):
        get(local_client(), address(museum))
    assert len(museum.headers) == 1


def test_a_redirect_does_not_give_up_encryption() -> None:
    for location in ("http://museum.org/x", "HTTP://other.org/", "http:x"):
        with pytest.raises(Failure, match="redirect from https to http") as caught:
            redirect_target("https://museum.org/a", location, 302)
        assert (caught.value.outcome, caught.value.status) == (Outcome.permanent, 302)
    assert redirect_target("https://a.org/b", "//c.org/d", 302) == "https://c.org/d"
    assert redirect_target("http://a.org/b", "https://c.org/d", 302) == "https://c.org/d"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text() | st.text("a.:/@%[]#?\\\r\n\t 0é-~;&=", max_size=20), is_proxied=...)
def test_any_host_in_a_row_or_location_is_requested_or_fails(
    text: str, is_proxied: bool, connected: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
            patch.setenv(name, "http://127.0.0.1:1" if is_proxied else "")
        patch.setattr(socket, "getaddrinfo", _nothing_found)
        client = PoliteClient(retry_policy=RetryPolicy(connect_timeout=1))
        for url in (f"http://{text}/x.jpg", f"https://{text}", text):
            with pytest.raises(Failure) as caught:
                get(client, url)
            assert str(caught.value).isprintable()
        try:
            location = text.encode().decode("latin-1")
            check_url(redirect_target("https://museum.org/a", location, 302), 302)
        except Failure as failure:
            assert failure.outcome is Outcome.permanent


def _nothing_found(host: str, port: int, *args: object, **options: object) -> list[object]:
    """Answer as a name server does that knows nobody, but for the proxy."""
    if host == "127.0.0.1":
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
    host.encode("idna")  # as socket.getaddrinfo does first
    raise socket.gaierror(socket.EAI_NONAME, "unknown")
