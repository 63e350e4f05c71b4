"""One manifest of ten thousand canvases."""

import json
from pathlib import Path

import pytest

from src.downloader import journal
from src.downloader.client import RetryPolicy
from tests.support.hosts import shorten_timeouts
from tests.support.iiif_galleries import gallery
from tests.support.iiif_host import IiifHost

CANVASES = 10_000


def serve_album(host: IiifHost) -> list[str]:
    """Serve /album, whose canvases show the host's files under other names; return these."""
    files = list(host.files.values())
    names = [f"{number:08x}-0000" for number in range(CANVASES)]
    host.files = {name: files[number % len(files)] for number, name in enumerate(names)}
    canvas = json.dumps(host.documents["/p3/102"]["items"][0])
    old = list(host.records)[2]
    made = (json.loads(canvas.replace(old, name)) for name in names)
    items = [item | {"label": {"none": [f"p. {n}"]}} for n, item in enumerate(made)]
    host.documents["/album"] = json.dumps(
        host.documents["/p3/102"] | {"id": f"{host.address}/album", "items": items}
    ).encode()
    return names


@pytest.mark.parametrize("limit", [40, pytest.param(None, marks=pytest.mark.slow)])
def test_a_manifest_of_ten_thousand_canvases(
    limit: int | None, host: IiifHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_timeouts(monkeypatch, RetryPolicy())  # no request is repeated on a busy machine
    names = serve_album(host)
    found = gallery(host, tmp_path, "/album", limit=limit)
    count = limit or CANVASES
    assert (len(found), found.missing) == (count, 0)
    assert set(found.works["object_id"]) == {f"{host.address}/album"}
    numbers = [int(title.removeprefix("Work 2: p. ")) for title in found.works["title"]]
    assert numbers == sorted(numbers)
    shown = [f"{host.address}/level2/{names[number]}" for number in numbers]
    assert list(found.works["iiif"]) == shown
    assert len(host.log) == len(set(host.log)) == count + 2  # the manifest, and robots.txt
    records = journal.read_journal(found.root / "journal.csv")
    assert len(records) == count and all(record.ok for record in records.values())
    again = gallery(host, tmp_path, "/album", limit=limit)
    assert again.files == found.files and len(host.log) == count + 2
