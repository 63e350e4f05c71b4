"""X-Robots-Tag: what forbids a download, and for whom."""

from pathlib import Path

import pytest

from src.demo.server import Handler
from src.downloader import journal
from src.downloader.x_robots_tag import FOLLOWING, FORBIDDING, directives
from tests.support.hosts import BadMuseum, download_all

OURS = "painting-similarity"


def forbidden(*headers: str, by: frozenset[str] = FORBIDDING) -> set[str]:
    """Return the directives of headers that forbid something to this program."""
    return set(directives(headers, OURS)) & by


@pytest.mark.parametrize(
    "header",
    ["noai", "NoImageAI", "noindex", "none", "noimageindex", " noarchive , noai ", "nofollow,noai"]
    + [f"{OURS}: noai", "Painting-Similarity : noindex", "*: none", f"a: all, {OURS}: noai"]
    + ["max-snippet: 5, noindex", "unavailable_after: Fri, 01 Jan 2100 00:00:00 GMT, noai"],
)
def test_directives_for_all_or_for_us_forbid(header: str) -> None:
    assert forbidden(header)


@pytest.mark.parametrize(
    "header",
    ["", "all", "noarchive", "nosnippet", "nofollow", "googlebot: noindex", "googlebot: noai, none"]
    + ["max-image-preview: none", "unavailable_after: 25 Jun 2010 15:00:00 PST", "noaix", "no ai"]
    + [f"noarchive, {OURS}: all", f"{OURS}-images: noai", ":noai,", ",,:"],
)
def test_others_do_not(header: str) -> None:
    assert not forbidden(header)


def test_a_name_holds_in_its_own_header_alone() -> None:
    assert forbidden("googlebot: noindex", "noai") == {"noai"}
    assert forbidden("googlebot: noindex", "bingbot: noai") == set()


def test_links_of_a_document_may_be_forbidden_too() -> None:
    assert forbidden("nofollow", by=FOLLOWING) == {"nofollow"}


def test_a_header_without_end_is_read_to_a_bound() -> None:
    assert not forbidden("x," * 10_000 + "noai")


@pytest.mark.parametrize("header", ["noai", "noimageai, noarchive", f"otherbot: all, {OURS}: none"])
def test_an_image_with_a_tag_is_left_out_for_good(
    header: str, museum: BadMuseum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the museum's own, not only of data=iiif."""
    image_id, reply = next(iter(museum.files)), Handler.reply

    def tagged(self: Handler, status: int, body: bytes, kind: str, **headers: str) -> None:
        reply(self, status, body, kind, **headers | {"X_Robots_Tag": header})

    monkeypatch.setattr(Handler, "reply", tagged)
    state = download_all(museum, tmp_path / "images")
    assert not state.present
    record = journal.read_journal(tmp_path / "images" / "journal.csv")[image_id]
    assert (record.outcome, record.status, record.attempts) == ("permanent", "200", "1")
    assert record.reason == f"X-Robots-Tag: {sorted(forbidden(header))[0]}"
    assert not list((tmp_path / "images").glob("*/*.jpg"))
    download_all(museum, tmp_path / "images")
    assert museum.asked[image_id] == 1
    monkeypatch.setattr(Handler, "reply", reply)
    assert download_all(museum, tmp_path / "images", retry_failed=True).present.keys() == {image_id}
