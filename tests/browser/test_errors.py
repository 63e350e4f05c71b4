"""What went wrong is a sentence on a page, and a traceback only in the terminal."""

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from src.browse import main
from src.browser.opened import open_runs
from src.browser.server import application
from src.browser.site import Page, Site
from src.browser.views import NAVIGATION, VIEWS, Entry
from src.errors import UserError
from src.io.outputs import Outputs
from src.reporting.run_folder import RunFolder
from tests.support.browsed import browsed

ADDRESS = "http://127.0.0.1:8050"
FAILURES = {
    "damaged": (UserError("x.npz is damaged: <b>cut off</b>"), "x.npz is damaged: &lt;b&gt;cut"),
    "deleted": (FileNotFoundError(2, "No such file", "a.npy"), "a.npy cannot be read: No such"),
    "without a name": (OSError("disk on fire"), "a file cannot be read: disk on fire"),
    "unexpected": (RuntimeError("secret <evil>"), "An error that nobody has foreseen"),
}


def failing(error: Exception) -> Entry:
    """Return a view that raises an error."""

    def view(*_: object) -> Page:
        """Fail."""
        raise error

    return Entry(view)


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_of_a_page_is_a_sentence(
    site: Site, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error, sentence = FAILURES[name]
    monkeypatch.setitem(VIEWS, "hubs", failing(error))
    with TestClient(application(site), ADDRESS, raise_server_exceptions=False) as client:
        answer = client.get("/0/hubs.html")
        assert answer.status_code == 500
        assert f"<p>{sentence}" in answer.text
        assert "secret" not in answer.text and "Traceback" not in answer.text
        assert "content-security-policy" in answer.headers
        assert client.get("/0/gallery.html").status_code == 200


def test_an_unexpected_error_is_printed_where_the_server_runs(
    two_runs: list[Path], tmp_path: Path
) -> None:
    code = "from src.browser.views import *\ndef view(*_): raise RuntimeError('a\\x1b[2Jb\\nc')\n"
    code += "VIEWS['hubs'] = Entry(view)"
    with browsed(tmp_path / "errors.txt", two_runs[0], "--port", "0", code=code) as server:
        assert server.ask("/0/hubs.html").status == 500
        assert server.ask("/0/gallery.html").status == 200
    text = (tmp_path / "errors.txt").read_text()
    assert "in view\n" in text
    assert text.endswith("RuntimeError: a\\x1b[2Jb\\nc\n")


def test_a_page_says_that_the_images_have_moved(moved: Path, tmp_path: Path) -> None:
    site = Site(open_runs([moved]), Outputs(tmp_path / "cache"), NAVIGATION)
    sentence = f"where the run has read them any more: {tmp_path}/paintings. Those"
    with TestClient(application(site), ADDRESS) as client:
        assert sentence not in client.get("/0/painting.html?row=3").text
        shown = client.get("/pictures/0/000/3.jpg").content
        (tmp_path / "paintings").rename(tmp_path / "elsewhere")
        answer = client.get("/0/painting.html?row=3")
        assert answer.status_code == 200
        assert sentence in answer.text
        for kind in ("pictures", "thumbnails"):
            gray = client.get(f"/{kind}/0/000/3.jpg")
            assert gray.status_code == 200
            with Image.open(io.BytesIO(gray.content)) as image:
                assert image.getpixel((1, 1)) == pytest.approx((238, 238, 238), abs=20)
        (tmp_path / "elsewhere").rename(tmp_path / "paintings")
        assert sentence not in client.get("/0/painting.html?row=3").text
        assert client.get("/pictures/0/000/3.jpg").content == shown


def test_a_page_says_that_one_image_is_gone(moved: Path, tmp_path: Path) -> None:
    site = Site(open_runs([moved]), Outputs(tmp_path / "cache"), NAVIGATION)
    (tmp_path / "paintings" / site.runs[0].gallery.files[0]).unlink()
    with TestClient(application(site), ADDRESS) as client:
        html = client.get("/0/gallery.html").text
    assert "The images are not where the run has read them" in html


def delete_gallery(run: Path) -> None:
    """Delete the gallery of a run."""
    shutil.rmtree(run / RunFolder(run).paths()["gallery"])


def delete_embeddings(run: Path) -> None:
    """Delete the embeddings of a run."""
    shutil.rmtree(run / RunFolder(run).paths()["embeddings"])


def cut_neighbors(run: Path) -> None:
    """Cut the neighbors of a run off."""
    path = run / "neighbors.npz"
    path.write_bytes(path.read_bytes()[:99])


def unfinish(run: Path) -> None:
    """Take away what is written last."""
    (run / "metrics.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (delete_gallery, "gallery.yaml: the command of the run, given again, brings them back"),
        (delete_embeddings, "image_names.npy: the command of the run, given again, brings them"),
        (cut_neighbors, "neighbors.npz is damaged"),
        (unfinish, "is not a finished run"),
    ],
)
def test_a_run_that_cannot_be_opened_is_one_line(
    moved: Path, damage, message: str, capsys: pytest.CaptureFixture
) -> None:
    damage(moved)
    assert main([str(moved), "--port", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line and "/../" not in line
