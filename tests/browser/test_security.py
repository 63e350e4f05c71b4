"""Who is answered: names of this machine, origins of what is sent, files that may be read."""

from pathlib import Path

import pytest
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from src.browser import server
from src.browser.security import HEADERS, check, is_trusted
from src.browser.site import Site

OWN, OTHER = "http://127.0.0.1:8050", "http://evil.example"
# By host that the server listens on: headers Host that it trusts, and that it does not
HOSTS = {
    "127.0.0.1": (
        ["127.0.0.1", "127.0.0.1:8050", "localhost:9", "LocalHost", "[::1]", "[::1]:8050"],
        ["192.168.1.5", "127.0.0.2", "127.1", "2130706433", "localhost.", "a.localhost", "::1"],
    ),
    "0.0.0.0": (["192.168.1.5:8050", "[fe80::1]:8050", "localhost"], ["evil.example", "mypc"]),
    "::": (["192.168.1.5:8050", "[fe80::1]:8050", "localhost"], ["evil.example", "mypc"]),
    "192.168.1.5": (["192.168.1.5:8050", "localhost"], ["192.168.1.6:8050", "mypc"]),
    "mypc": (["mypc:8050", "MyPC", "127.0.0.1"], ["mypc.evil.example", "evil.example"]),
}
NAMELESS = ["", ":", ":8050", "@", "a@", "localhost@", "localhost/", "localhost?", "localhost#x"]
NAMELESS += ["local\u212aost", "localhost:x", "localhost:-1", "[::1", "[localhost]", " localhost"]
SENT = {
    "nothing": ({}, 403),
    "our origin": ({"Origin": OWN}, 400),
    "our origin, our site": ({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, 400),
    "our site": ({"Sec-Fetch-Site": "same-origin"}, 400),
    "our form, without a referrer": ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 400),
    "no origin": ({"Origin": "null"}, 403),
    "another origin": ({"Origin": OTHER}, 403),
    "another origin, our site": ({"Origin": OTHER, "Sec-Fetch-Site": "same-origin"}, 403),
    "our origin, another site": ({"Origin": OWN, "Sec-Fetch-Site": "cross-site"}, 403),
    "another port": ({"Origin": "http://127.0.0.1:8051", "Sec-Fetch-Site": "same-site"}, 403),
    "another name of ours": ({"Origin": "http://localhost:8050"}, 403),
    "another scheme": ({"Origin": "https://127.0.0.1:8050"}, 403),
    "typed by a user": ({"Sec-Fetch-Site": "none"}, 403),
}


@pytest.mark.parametrize("host", HOSTS)
def test_names_of_a_server(host: str) -> None:
    trusted, other = HOSTS[host]
    assert [name for name in trusted if not is_trusted(name, host)] == []
    assert [name for name in [*other, *NAMELESS] if is_trusted(name, host)] == []


def test_a_request_has_one_host() -> None:
    for names in ([], ["localhost", "localhost"], ["localhost", "evil.example"]):
        headers = [(b"host", name.encode()) for name in names]
        scope = {"method": "GET", "raw_path": b"/", "query_string": b"", "headers": headers}
        with pytest.raises(HTTPException) as refusal:
            check(scope | {"type": "http"}, "127.0.0.1")
        assert refusal.value.status_code == 421


@pytest.mark.parametrize("name", SENT)
def test_only_pages_of_this_server_send(client: TestClient, name: str) -> None:
    headers, status = SENT[name]
    assert client.post("/0/query", headers=headers).status_code == status  # 400: an empty image


@pytest.mark.parametrize("address", ["/", "/0/gallery.html", "/static/page.js", "/nothing"])
def test_nothing_can_be_sent_to_pages(client: TestClient, address: str) -> None:
    answer = client.post(address, headers={"Origin": OWN})
    assert answer.status_code == (404 if address == "/nothing" else 405)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_scripts_and_styles_only_come_from_files(client: TestClient) -> None:
    policy = client.get("/0/gallery.html").headers["content-security-policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"
    assert not {"*", "'unsafe-inline'", "'unsafe-eval'", "http:", "https:"} & set(policy.split())


def test_a_link_in_static_leads_nowhere(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    static = tmp_path / "static"
    static.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (static / "inner").mkdir()
    (static / "page.js").write_text("ours")
    (static / "link.js").symlink_to(tmp_path / "secret.txt")
    (static / "inner" / "up").symlink_to(tmp_path)
    monkeypatch.setattr(server, "STATIC", static)
    with TestClient(server.application(site), OWN) as client:
        assert client.get("/static/page.js").text == "ours"
        for name in ("link.js", "inner/up/secret.txt", "inner/up", "inner", "%2e%2e/secret.txt"):
            assert client.get(f"/static/{name}").status_code == 404
