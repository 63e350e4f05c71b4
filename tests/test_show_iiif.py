"""python -m src.show --iiif: where the manifest is written, its addresses, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from src import show
from src.browser.opened import open_runs
from src.browser.server import application
from src.browser.site import Site
from src.browser.views import NAVIGATION
from src.io.outputs import Outputs
from tests.support.iiif_checks import image, problems
from tests.support.ranked_run import clustered, works_of, write_ranked_run

ART = "https://art.example/iiif"
BASE = "https://me.example/my/art/"


@pytest.fixture
def online(tmp_path: Path) -> Path:
    """Return a run over 60 images of which a museum has services."""
    works = works_of(iiif=[f"{ART}/{number}" for number in range(60)])
    return write_ranked_run(tmp_path / "outputs", works)


@pytest.fixture
def offline(tmp_path: Path) -> Path:
    """Return a run over 230 images that are in a folder alone."""
    return write_ranked_run(tmp_path / "outputs", works_of(230), clustered(230))


def ask(run: Path, *words: str | Path) -> int:
    """Run src.show on a run; return the exit code."""
    return show.main([*map(str, words), "--iiif", "--run", str(run), "--no-open"])


def written(path: Path) -> dict[str, Any]:
    """Return the manifest in a file, which must be valid."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert problems(found) == []
    return found


def test_a_manifest_is_written_into_the_run(
    online: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(online, "Painting 45") == 0
    path = online / "manifest-45.json"
    found = written(path)
    assert len(found["items"]) == 11
    assert capsys.readouterr().out.splitlines() == [
        "Painting 45, artist 1, 1645 and 10 similar images",
        f"wrote {path}",
        "its address: http://127.0.0.1:8050/0/manifest/45.json",
        f"python -m src.browse {online} has it there; --base-url: anywhere else",
    ]


@pytest.mark.parametrize(("words", "k"), [([], 10), (["-k", "3"], 3), (["-k", "59"], 59)])
def test_the_browser_answers_the_same_at_its_address(
    online: Path, words: list[str], k: int
) -> None:
    assert ask(online, "45", *words) == 0
    found = written(online / "manifest-45.json")
    site = Site(open_runs([online]), Outputs(online), NAVIGATION)
    with TestClient(application(site), base_url="http://127.0.0.1:8050") as client:
        assert client.get(found["id"]).text == (online / "manifest-45.json").read_text("utf-8")
    assert len(found["items"]) == k + 1


def test_a_base_url_is_where_manifest_and_images_are(offline: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "similar é#1.json"
    assert ask(offline, "7", "--base-url", BASE, "--out", path) == 0
    found = written(path)
    assert found["id"] == "https://me.example/my/art/similar%20%C3%A9%231.json"
    assert found["items"][0]["id"].startswith("https://me.example/my/art/similar%20%C3%A9%231/")
    files = [image(canvas)["id"] for canvas in found["items"]]
    assert files[0] == "https://me.example/my/art/007.png"


def test_images_of_a_museum_stay_there_with_a_base_url(online: Path) -> None:
    assert ask(online, "7", "--base-url", BASE) == 0
    found = written(online / "manifest-7.json")
    assert found["id"] == "https://me.example/my/art/manifest-7.json"
    assert image(found["items"][0])["id"] == f"{ART}/7/full/full/0/default.jpg"


def test_two_hundred_canvases_are_written_and_more_refused(
    offline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(offline, "7", "-k", "199", "--base-url", BASE) == 0
    assert len(written(offline / "manifest-7.json")["items"]) == 200
    for k in ("200", "0", "-1"):
        assert ask(offline, "7", "-k", k, "--base-url", BASE) == 2
        printed = capsys.readouterr().err
        assert f"error: -k must be between 1 and 199, got {k}: a manifest has up to 200" in printed
        assert printed.count("\n") == 1


def test_of_a_longer_list_of_the_run_as_many_are_written_as_there_may_be(tmp_path: Path) -> None:
    run = write_ranked_run(tmp_path, works_of(230), clustered(230), top_k=210)
    assert ask(run, "7", "--base-url", BASE) == 0
    assert len(written(run / "manifest-7.json")["items"]) == 200


def test_a_short_collection_is_listed_whole(tmp_path: Path) -> None:
    run = write_ranked_run(tmp_path, works_of(12), clustered(12))
    assert ask(run, "7", "-k", "100", "--base-url", BASE) == 0
    assert len(written(run / "manifest-7.json")["items"]) == 12


REFUSED = [
    ([], "001.png has no public address in the columns iiif and url of works.csv: give --base-url"),
    (["--base-url", BASE, "--format", "pdf"], "--iiif writes JSON: leave out --format and --dpi"),
    (["--base-url", BASE, "--dpi", "300"], "--iiif writes JSON: leave out --format and --dpi"),
    (["--base-url", BASE, "--out", "list.jpg"], "--out list.jpg does not end in .json"),
    (["--base-url", BASE, "--out", "."], "--out . is a folder: with --iiif, give the path"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_what_cannot_be_written_is_refused_in_one_line(
    offline: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(offline, "1", *words) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert list(offline.glob("manifest*")) == []


@pytest.mark.parametrize("words", [["-k", "5"], ["--base-url", BASE]])
def test_options_of_a_manifest_are_for_one(
    offline: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert show.main(["1", *words, "--run", str(offline), "--no-open"]) == 2
    assert "-k and --base-url are for a manifest: give --iiif, too" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["", "me.example", "ftp://me.example", "https://ann:secret@me.example/", f"{BASE}?a=1"]
)
def test_a_base_url_is_the_address_of_a_folder(
    offline: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        ask(offline, "1", "--base-url", url)
    assert "give the http(s) address of a folder, without user, ? and #" in capsys.readouterr().err


def test_a_file_where_a_folder_should_be_is_an_error_of_one_line(
    online: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (online / "file").write_text("")
    assert ask(online, "1", "--out", online / "file" / "list.json") == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("lost", "message"),
    [("galleries", "the run's gallery or features are gone"), ("embeddings", "features are gone")],
)
def test_a_run_without_its_gallery_or_features_is_told(
    online: Path, lost: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(online.parents[2] / lost)
    assert ask(online, "1") == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_a_longer_list_needs_the_features(online: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next(online.parents[2].glob("embeddings/**/features.npy")).unlink()
    assert ask(online, "1") == 0
    assert ask(online, "1", "-k", "20") == 2
    assert (
        "-k 20: the run has kept 10 neighbors, and the run's features are"
        in capsys.readouterr().err
    )


def test_help_names_the_options_of_a_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        show.main(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "python -m src.show 45 --iiif" in printed
    assert "-k N neighbors, 1 to 199" in printed
    assert "--base-url URL where you publish the manifest" in printed


def test_with_all_paintings_are_listed(online: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(online, "--all", "Painting 45") == 0
    assert "1 of 60 paintings have 'Painting 45'" in capsys.readouterr().out
    assert list(online.glob("manifest*")) == []
