"""Collections without end, and documents that are no IIIF: bounded, and one line each."""

import json
from pathlib import Path
from typing import Any

import pytest

from src.downloader import documents
from src.errors import UserError
from src.gallery.gallery import Gallery
from src.gallery.iiif import crawl
from src.gallery.iiif import documents as of_crawl
from src.gallery.iiif.catalog import source_name
from src.gallery.museum import museum_gallery
from src.io import json_text
from tests.support.hosts import Fault
from tests.support.iiif_galleries import TOP, gallery, options
from tests.support.iiif_host import IiifHost


def collection(url: str, *members: Any) -> dict[str, Any]:
    """Return a collection of version 3."""
    return {"id": url, "type": "Collection", "items": list(members)}


def reference(url: str, kind: str = "Manifest") -> dict[str, str]:
    """Return a member of a collection."""
    return {"id": url, "type": kind}


def with_bad(host: IiifHost, tmp_path: Path, *bad: Any) -> Gallery:
    """Return the gallery of the first collection with further members."""
    whole = host.documents["/p3/first.json"]
    host.documents["/p3/bad.json"] = whole | {"items": [*bad, *whole["items"][:12]]}
    return gallery(host, tmp_path, "/p3/bad.json", max_failed=0.5)


HOSTILE = {
    "deep": (b'{"type":' + b"[" * 40_000, "not read: lists and objects too deep"),
    "half": (b'{"type": "Manifest"', "not read: not JSON"),
    "list": (b"[1, 2]", "not read: not a JSON object"),
    "binary": (bytes(range(256)), "not read: not JSON"),
    "digits": (b'{"a": ' + b"9" * 5000 + b"}", "not read: not JSON"),
    "many": (b'{"a": [' + b"1," * 60_000 + b"1]}", "not read: more than 50000 values"),
    "large": (b'{"a": "' + b"x" * 400_000 + b'"}', "not read: larger than 300000 bytes"),
    "canvas": (b'{"type": "Canvas"}', "not read: neither a collection nor a manifest"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_broken_manifest_among_good_ones_is_skipped_and_counted(
    name: str,
    host: IiifHost,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_text, "MAX_VALUES", 50_000)
    monkeypatch.setattr(documents, "MAX_BYTES", 300_000)
    body, reason = HOSTILE[name]
    host.documents["/bad"] = body
    caplog.set_level("INFO")
    found = with_bad(host, tmp_path, reference(f"{host.address}/bad"))
    assert (len(found), found.missing) == (12, 1)
    assert f"1 {reason}" in caplog.text
    assert host.asked["/bad"] <= 2


@pytest.mark.parametrize("name", HOSTILE)
def test_a_broken_document_that_the_user_names_is_one_line(
    name: str, host: IiifHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_text, "MAX_VALUES", 50_000)
    monkeypatch.setattr(documents, "MAX_BYTES", 300_000)
    host.documents["/bad"] = HOSTILE[name][0]
    with pytest.raises(UserError, match="^data.manifest=http://127.0.0.1:.*/bad[ :]") as error:
        gallery(host, tmp_path, "/bad")
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_manifest_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    for text, reason in (("<html>", "m.json is no IIIF document: not JSON"), ("{}", "neither a")):
        path.write_text(text)
        with pytest.raises(UserError, match=reason):
            museum_gallery(options(str(path), tmp_path / "outputs"))


def test_the_named_document_is_a_page_of_html_or_nowhere(host: IiifHost, tmp_path: Path) -> None:
    for fault, reason in (("html", "not JSON: text/html"), ("404", "404 Not Found")):
        host.faults = {TOP: Fault(fault)}
        with pytest.raises(UserError, match=f"{reason}; give the address of a IIIF collection"):
            gallery(host, tmp_path)


def test_an_empty_collection_is_an_error_after_its_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "top.json"
    path.write_text(json.dumps(collection("https://museum.org/top.json")))
    with pytest.raises(UserError, match="has 0 images that can be used, but at least 2"):
        museum_gallery(options(str(path), tmp_path / "outputs"))
    assert "catalog: 0 manifests; 0 images selected" in caplog.text


def test_a_manifest_of_other_media_is_an_error_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "films.json"
    film = {"motivation": "painting", "body": {"id": "https://museum.org/1.mp4", "type": "Video"}}
    canvas = {"type": "Canvas", "items": [{"items": [film]}]}
    path.write_text(json.dumps({"type": "Manifest", "items": [canvas] * 3}))
    with pytest.raises(UserError, match=r"needed \(left out: 3 other media, such as video"):
        museum_gallery(options(str(path), tmp_path / "outputs"))


def test_members_at_hostile_addresses_are_counted_and_not_requested(
    host: IiifHost, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bad = ["file:///etc/passwd", "javascript:1", "http://10.0.0.1:x/", 7, None]
    found = with_bad(host, tmp_path, *[{"id": url, "type": "Manifest"} for url in bad], "text", 3)
    assert (len(found), found.missing) == (12, 0)
    assert "5 members without a usable address" in caplog.text


def test_a_file_does_not_lead_to_this_machine(host: IiifHost, tmp_path: Path) -> None:
    path = tmp_path / "top.json"
    path.write_text(json.dumps(host.documents["/p3/first.json"]))
    with pytest.raises(UserError, match="has 0 images that can be used.*could not be had"):
        museum_gallery(options(str(path), tmp_path / "outputs"))
    assert not host.asked
    journal = next((tmp_path / "outputs" / "manifests").glob("top-*/journal.csv")).read_text()
    assert "no public address: refused unless data.tables or data.manifest is local" in journal


def test_an_address_that_was_public_does_not_lead_to_this_machine(
    host: IiifHost, tmp_path: Path
) -> None:
    url = f"{host.address}/p3/first.json"
    cfg, name = options(url, tmp_path), documents.document_id(url)
    path = tmp_path / "manifests" / source_name(url) / name[:2] / f"{name}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(host.documents["/p3/first.json"]))
    Path(f"{path}.address").write_text("8.8.8.8")  # which sent it
    with pytest.raises(UserError, match="has 0 images that can be used.*could not be had"):
        museum_gallery(cfg)
    assert not host.asked


def test_collections_in_collections_end_at_a_depth(
    host: IiifHost, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr(crawl, "MAX_DEPTH", 3)
    caplog.set_level("INFO")
    for depth in range(1, 9):
        url, member = f"{host.address}/deep{depth}", f"{host.address}/p3/{100 + depth}"
        below = reference(f"{host.address}/deep{depth + 1}", "Collection")
        host.documents[f"/deep{depth}"] = collection(url, reference(member), below)
    assert len(gallery(host, tmp_path, "/deep1")) == 4
    assert "1 collections nested in more than 3" in caplog.text
    assert not host.asked["/deep5"]


def test_pages_without_end_end_at_a_number(
    host: IiifHost, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr(crawl, "MAX_COLLECTIONS", 10)
    caplog.set_level("INFO")
    for page in range(20):
        url = f"{host.address}/endless?page={page}"
        members = [{"@id": f"{host.address}/p2/{100 + page}", "@type": "sc:Manifest"}]
        documents = {"@id": url, "@type": "sc:Collection", "manifests": members}
        host.documents[f"/endless?page={page}"] = documents | {
            "next": f"{host.address}/endless?page={page + 1}"
        }
    start = {"@id": f"{host.address}/endless", "@type": "sc:Collection"}
    host.documents["/endless"] = start | {"first": f"{host.address}/endless?page=0"}
    assert len(gallery(host, tmp_path, "/endless")) == 10
    assert "1 collections beyond 10" in caplog.text


def test_pages_do_not_stand_in_each_other_and_may_name_each_other(
    host: IiifHost, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr(crawl, "MAX_DEPTH", 0)
    caplog.set_level("INFO")
    for page in range(5):
        page_of = collection(f"{host.address}/all{page}", reference(f"{host.address}/p3/10{page}"))
        first, after = f"{host.address}/all0", f"{host.address}/all{(page + 1) % 5}"
        host.documents[f"/all{page}"] = page_of | {"first": first, "next": after}
    assert len(gallery(host, tmp_path, "/all0")) == 5
    assert "listed more than once" not in caplog.text


def test_the_first_manifests_of_the_collection_are_read(host: IiifHost, tmp_path: Path) -> None:
    found = gallery(host, tmp_path, max_manifests=5)
    assert list(found.works["title"]) == [f"Work {n}" for n in range(5)]
    assert sum(path.startswith("/p3/1") for path in host.asked) == 5


def test_too_many_canvases_are_one_line(
    host: IiifHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawl, "MAX_CANVASES", 5)
    with pytest.raises(UserError, match="more than 5 canvases: name one of the collections in it"):
        gallery(host, tmp_path)


def test_documents_of_too_many_bytes_are_one_line_and_are_kept(
    host: IiifHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(of_crawl, "MAX_TOTAL_BYTES", 10_000)
        with pytest.raises(UserError, match="more than 10.0 kB: .* or lower data.max_manifests"):
            gallery(host, tmp_path)
    kept = {path.stem for path in (tmp_path / "manifests").glob("*/*/*.json")}
    host.log.clear()
    assert len(gallery(host, tmp_path)) == 24
    assert len(kept) > 1
    assert not kept & {documents.document_id(host.address + path) for path in host.log}
    total = sum(path.stat().st_size for path in (tmp_path / "manifests").glob("*/*/*.json"))
    monkeypatch.setattr(of_crawl, "MAX_TOTAL_BYTES", total)
    assert len(gallery(host, tmp_path, refresh=True)) == 24  # none counts twice


def test_one_image_is_too_few(host: IiifHost, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has 1 images .* at least 2 are needed: name a larger"):
        gallery(host, tmp_path, "/p3/100")
    pages = [host.documents[f"/p3/{n}"]["items"][0] for n in (100, 101)]
    host.documents["/p3/100"] |= {"items": pages}
    with pytest.raises(UserError, match="or set data.view=all"):
        gallery(host, tmp_path / "one", "/p3/100", view="primary")
