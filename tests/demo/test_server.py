"""The tiny museum on localhost."""

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import requests
from PIL import Image

from src.demo.collection import draw_collection
from src.demo.server import HEADERS, Museum, open_museum, served
from tests.support.hosts import draw_small

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def museum(tmp_path: Path) -> Iterator[Museum]:
    """Three images of 60 pixels."""
    made = Museum(draw_small(tmp_path, 3, side=60), tmp_path)
    with served(made):
        yield made


def image(museum: Museum, size: str) -> requests.Response:
    url = f"{museum.address}/iiif/{next(iter(museum.files))}/full/{size}/0/default.jpg"
    return requests.get(url, timeout=5)


def test_an_image_that_fits_is_served_unchanged(museum: Museum) -> None:
    for size in ("!60,60", "!256,256"):
        assert image(museum, size).content == next(iter(museum.files.values())).read_bytes()


def test_a_larger_image_is_scaled_to_fit(museum: Museum) -> None:
    with Image.open(io.BytesIO(image(museum, "!20,30").content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (20, 20))


@pytest.mark.parametrize("path", ["", "/data/x.csv", "/iiif/../../etc/passwd", "/iiif/x/full/!9,9"])
def test_other_urls_are_not_found(museum: Museum, path: str) -> None:
    assert requests.get(museum.address + path, timeout=5).status_code == 404
    assert image(museum, "full").status_code == 404


def test_tables_have_all_columns_and_an_etag(museum: Museum) -> None:
    for name, columns in HEADERS.items():
        answer = requests.get(f"{museum.address}/data/{name}", timeout=5)
        assert list(pd.read_csv(io.StringIO(answer.text))) == columns.split(",")
        known = {"If-None-Match": answer.headers["ETag"]}
        again = requests.get(f"{museum.address}/data/{name}", headers=known, timeout=5)
        assert (again.status_code, again.content) == (304, b"")


def test_the_server_listens_on_localhost_only(museum: Museum) -> None:
    assert museum.server_address[0] == "127.0.0.1"


def test_open_museum_serves_the_drawn_collection(drawn_demo: Path) -> None:
    with open_museum(drawn_demo, seed=0) as museum:
        records = draw_collection(drawn_demo / "seed-0", 0)
        assert museum.files.keys() == {record["image_id"] for record in records}


def test_the_command_serves_until_ctrl_c(drawn_demo: Path) -> None:
    outputs = str(drawn_demo.parent)
    words = [sys.executable, "-m", "src.demo", "--port", "0", "--outputs", outputs]
    # A shell lets what it starts in the background ignore Ctrl-C, the tests themselves perhaps
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=heed
    ) as process:
        assert process.stdout
        first, second = process.stdout.readline(), process.stdout.readline()
        address = second.split("data.tables=")[1].strip()
        assert "252 paintings" in first
        assert requests.get(f"{address}/objects.csv", timeout=5).text.count("\n") == 253
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
