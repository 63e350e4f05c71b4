"""Addresses: which host they name, and what of them may be shown or stored."""

from pathlib import Path

import pytest

from src.config.addresses import check_no_secret, origin, redacted
from src.config.data import Download, Nga
from src.errors import UserError

SECRET = "hunter2"
WITH_SECRETS = [
    f"https://me:{SECRET}@museum.org/tables",
    f"https://{SECRET}@museum.org/tables",
    f"https://me:{SECRET}/x@museum.org/",  # not quoted: no port
    f"https://me:{SECRET}@home@museum.org/",
    f"https://museum.org/tables?token={SECRET}",
    f"https://museum.org/tables#{SECRET}",
    f"ftp://me:{SECRET}@museum.org/",
    f"https://museum.org/x,https://me:{SECRET}@museum.org",  # a sweep
    f"[https://museum.org/gh/a/b@main,'https://museum.org/?{SECRET}']",
]


@pytest.mark.parametrize("text", WITH_SECRETS)
def test_a_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UserError, match=r"^data.tables=.*\*\*\*.*~/.netrc") as caught:
        check_no_secret("data.tables", text)
    assert SECRET not in str(caught.value)
    assert SECRET not in redacted(f"cannot read {text}: no")


def test_a_message_that_is_redacted_again_stays_as_it_is() -> None:
    for text in (f"https://museum.org/x?{SECRET}: no", f"https://museum.org/x#{SECRET}: no"):
        once = redacted(text)
        assert once.endswith("***: no")
        assert redacted(once) == once


@pytest.mark.parametrize("text", [f"me:{SECRET}@museum.org/x", f"https:me:{SECRET}@museum.org"])
def test_a_login_without_a_scheme_is_a_secret(text: str) -> None:
    with pytest.raises(UserError, match=r"^data.tables=.*\*\*\*.*~/.netrc") as caught:
        check_no_secret("data.tables", text)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("text", WITH_SECRETS[:7])
def test_the_options_refuse_a_secret(text: str) -> None:
    with pytest.raises(UserError, match=r"^data.tables=") as caught:
        Nga(tables=text)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://cdn.net/gh/museum/data@main",
        "me@museum.org",
        "a@b/c?d",
        "https://museum.org:8000/x",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    check_no_secret("data.tables", text)
    assert redacted(text) == text


def test_the_page_of_a_contact_may_have_a_query_but_no_password() -> None:
    page = "https://museum.org/?page=robot"
    assert Download(contact=page).contact == page
    with pytest.raises(UserError, match="download.contact="):
        Download(contact=f"https://me:{SECRET}@museum.org")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://Museum.org/x?y", "http://museum.org"),
        ("HTTP://me:pw@museum.org:80", "http://museum.org"),
        ("https://museum.org:80/", "https://museum.org:80"),
        ("http://[::1]:8000/x", "http://[::1]:8000"),
        ("http://museum.org./x", "http://museum.org"),
        ("file:///etc/passwd", ""),
        ("http://museum.org:port/", ""),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, host: str) -> None:
    assert origin(url) == host


@pytest.mark.parametrize("tables", ["http://museum.org/tables", None])
def test_netrc_needs_encryption(tables: str | None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="data.netrc=true needs an https URL"):
        Nga(tables=tables or str(tmp_path), netrc=True)
    assert Nga(tables="https://museum.org/tables", netrc=True).netrc
    assert Nga(tables="http://127.0.0.1:8000/tables", netrc=True).netrc
