"""Yes and no below neighbors: kept in a table that data.judgements takes."""

import csv
import errno
import os
import re
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from src.browser.judging import HEAD, table_path
from src.browser.server import application
from src.browser.site import Site
from src.errors import UserError
from src.gallery.judgements import gallery_verdicts, read_verdicts
from src.gallery.names import FileNames
from src.reporting.run_folder import RunFolder

OWN = {"Origin": "http://127.0.0.1:8050"}


def say(client: TestClient, site: Site, run: int = 0, **given: object) -> tuple[int, dict]:
    """Send a judgement; return status and JSON."""
    asked = {"query": 0, "neighbor": 1, "judgement": 1, "images": site.runs[run].fingerprint}
    answer = client.post(f"/{run}/judge", params=asked | given, headers=OWN)
    return answer.status_code, answer.json()


def pressed(client: TestClient, row: int, run: int = 0) -> dict[int, str]:
    """Return by neighbor which button is pressed on the page of a painting."""
    page = client.get(f"/{run}/painting.html?row={row}&k=10").text
    groups = re.findall(r'class="verdict".*? data-row="(\d+)" hidden>(.*?)</div>', page)
    assert groups
    found = {int(other): re.findall(r'value="(.)" aria-pressed="true"', g) for other, g in groups}
    return {other: values[0] for other, values in found.items() if values}


def count(client: TestClient, run: int = 0) -> str:
    """Return what the page says about how many pairs are judged."""
    page = client.get(f"/{run}/painting.html?row=0").text
    return re.findall(r'id="judged" role="status">(.*?)<', page)[0]


def test_what_is_said_is_kept_shown_and_taken_back(client: TestClient, site: Site) -> None:
    first, second, *_ = site.runs[0].index[0].tolist()
    assert count(client) == "No pair is judged yet"
    assert say(client, site, neighbor=first) == (200, {"text": "1 pair judged"})
    assert say(client, site, neighbor=second, judgement=0) == (200, {"text": "2 pairs judged"})
    assert pressed(client, 0) == {first: "1", second: "0"}
    assert say(client, site, neighbor=second) == (200, {"text": "2 pairs judged"})
    assert pressed(client, 0) == {first: "1", second: "1"}
    assert say(client, site, neighbor=first, judgement="") == (200, {"text": "1 pair judged"})
    assert pressed(client, 0) == {second: "1"} and count(client) == "1 pair judged"
    assert pressed(client, first).get(0) is None  # a pair has a direction
    table = table_path(site, site.runs[0])
    files = site.runs[0].gallery.files
    assert [verdict[1:] for verdict in read_verdicts(table)] == [
        *((files[second], "", True), (files[first], "", None)),
    ]
    lines = list(csv.DictReader(table.read_text().splitlines()))
    assert [line["judgement"] for line in lines] == ["1", "0", "1", ""]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+\+00:00", line["time"]) for line in lines)


def test_runs_over_a_gallery_share_what_is_said(client: TestClient, site: Site) -> None:
    neighbor = int(site.runs[1].index[0, 0])
    assert say(client, site, 1, neighbor=neighbor) == (200, {"text": "1 pair judged"})
    assert count(client, 0) == count(client, 1) == "1 pair judged"
    assert pressed(client, 0, run=1) == {neighbor: "1"}


def test_each_judge_sees_only_their_own_verdicts(site: Site) -> None:
    neighbor = int(site.runs[0].index[0, 0])
    for name, value in (("Ann", 1), ("=Bob, Jr.", 0), ("", 1)):
        named = replace(site, judge=name)
        with TestClient(application(named), base_url="http://127.0.0.1:8050") as client:
            assert count(client) == "No pair is judged yet"
            assert say(client, site, neighbor=neighbor, judgement=value)[0] == 200
            assert pressed(client, 0) == {neighbor: str(value)}
    verdicts = read_verdicts(table_path(site, site.runs[0]))
    assert [(verdict.judge, verdict.is_good) for verdict in verdicts] == [
        *(("Ann", True), ("=Bob, Jr.", False), ("", True)),
    ]


@pytest.mark.parametrize(
    ("given", "status", "text"),
    [
        ({"query": 99999}, 404, "row must be between 0 and"),
        ({"neighbor": "-1"}, 404, "row must be between 0 and"),
        ({"neighbor": ""}, 404, "row must be between 0 and"),
        ({"neighbor": "9" * 500}, 404, "row must be between 0 and"),
        ({"neighbor": 0}, 404, "about two images"),
        ({"judgement": 2}, 404, "a judgement is 1, 0 or empty"),
        ({"judgement": "\n=1"}, 404, "a judgement is 1, 0 or empty"),
        ({"images": "0" * 16}, 409, "other images than the run that is open now: load it again"),
        ({"run": 9}, 404, "there is no run 9"),
    ],
)
def test_what_is_no_judgement_is_refused(
    client: TestClient, site: Site, given: dict, status: int, text: str
) -> None:
    run = given.pop("run", 0)
    asked = {"query": 0, "neighbor": 1, "judgement": 1, "images": site.runs[0].fingerprint}
    answer = client.post(f"/{run}/judge", params=asked | given, headers=OWN)
    assert answer.status_code == status
    assert text in answer.json()["error"] and list(answer.json()) == ["error"]
    assert not site.outputs.judgements.exists()


def test_an_address_without_a_judgement_is_refused(client: TestClient, site: Site) -> None:
    answer = client.post("/0/judge", params={"images": site.runs[0].fingerprint}, headers=OWN)
    assert answer.status_code == 404


def test_only_pages_of_this_server_may_judge(client: TestClient, site: Site) -> None:
    asked = {"query": 0, "neighbor": 1, "judgement": 1, "images": site.runs[0].fingerprint}
    for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert client.post("/0/judge", params=asked, headers=headers).status_code == 403
    assert client.get("/0/judge", params=asked).status_code == 405
    assert not site.outputs.judgements.exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"query;neighbor;judgement\na;b;1\n", "does not begin with query,neighbor,judgement"),
        (b"\xff\xfe\0\0", "not a table of comma-separated values"),
        (HEAD + b"\na,b,perhaps,,\n", "line 2: judgement must be 1 or yes"),
    ],
)
def test_a_table_of_another_program_stays_as_it_is(
    client: TestClient, site: Site, content: bytes, text: str
) -> None:
    table = table_path(site, site.runs[0])
    table.parent.mkdir(parents=True)
    table.write_bytes(content)
    status, answer = say(client, site)
    assert status == 500 and text in answer["error"]
    assert table.read_bytes() == content
    page = client.get("/0/painting.html?row=0")
    assert page.status_code == 200
    assert "Neighbors cannot be judged" in page.text or b"perhaps" not in content


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_that_a_spreadsheet_has_saved_is_continued(
    client: TestClient, site: Site, mark: str
) -> None:
    """Without a last line end, with those of Windows, and with a byte order mark."""
    table, files = table_path(site, site.runs[0]), site.runs[0].gallery.files
    table.parent.mkdir(parents=True)
    table.write_bytes(mark.encode() + HEAD + f"\r\n{files[2]},{files[3]},yes,,".encode())
    assert say(client, site) == (200, {"text": "2 pairs judged"})
    assert [verdict.is_good for verdict in read_verdicts(table)] == [True, True]


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "start the browser with another --outputs"),
    ],
)
def test_a_full_disk_leaves_the_table_as_it_was(
    client: TestClient,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    way_out: str,
) -> None:
    assert say(client, site)[0] == 200
    table = table_path(site, site.runs[0])
    before = table.read_bytes()

    def failing(file: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    status, answer = say(client, site, neighbor=2)
    assert status == 507
    assert answer["error"] == f"the judgement could not be kept: {os.strerror(number)}; {way_out}"
    monkeypatch.undo()
    assert table.read_bytes() == before
    assert sorted(path.name for path in table.parent.iterdir()) == [".lock", table.name]
    assert say(client, site, neighbor=2) == (200, {"text": "2 pairs judged"})


def test_every_name_of_a_file_comes_back(hostile_site: Site) -> None:
    run = hostile_site.runs[0]
    files, address = run.gallery.files, "http://127.0.0.1:8050"
    with TestClient(application(hostile_site), address) as client:
        for row in range(len(files)):
            other = (row + 1) % len(files)
            assert say(client, hostile_site, query=row, neighbor=other)[0] == 200
        page = client.get("/0/painting.html?row=0")
    assert f"{len(files)} pairs judged" in page.text
    table = table_path(hostile_site, run)
    verdicts = gallery_verdicts(table, run.gallery.works, run.gallery.root)
    expected = {(files[row], files[(row + 1) % len(files)]) for row in range(len(files))}
    assert {(v.query, v.neighbor) for v in verdicts} == expected
    assert len(FileNames(files, run.gallery.root).find(files[0]).files) == 1
    table.read_bytes().decode()  # it is UTF-8


def test_a_run_whose_options_are_damaged_is_judged_all_the_same(
    client: TestClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(self: RunFolder) -> list[str]:
        raise UserError("overrides.yaml is damaged")

    monkeypatch.setattr(RunFolder, "overrides", damaged)
    assert say(client, site)[0] == 200
    page = client.get("/0/painting.html?row=0")
    assert page.status_code == 200 and "1 pair judged" in page.text
    assert "<pre>python -m src.run ... " in page.text


def test_an_export_has_no_buttons(site: Site) -> None:
    static = replace(site, is_static=True)
    page = judging_body(static)
    for text in ('class="verdict"', "judge.js", 'id="judged"', "<kbd>y</kbd>"):
        assert text in judging_body(site) and text not in page


def judging_body(site: Site) -> str:
    from src.browser.painting_view import painting_view

    return site.render(site.runs[0], "painting", painting_view(site, site.runs[0], {"row": "0"}))


@pytest.mark.parametrize("chosen", ["k=3", "k=50", "only=other-artist", "f.artist=red"])
def test_each_card_of_any_list_can_be_judged(client: TestClient, chosen: str) -> None:
    page = client.get(f"/0/painting.html?row=0&{chosen}").text
    cards = re.findall(r'<li class="card"><a href="painting.html\?row=(\d+)">', page)
    assert cards == re.findall(r'class="verdict"[^>]* data-row="(\d+)"', page) != []
