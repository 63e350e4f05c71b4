"""The dashboard: its address, its port, and its pages in a browser."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import yaml

from src.dashboard import main, with_pinned_cards
from tests.support.commands import ROOT, command


@pytest.fixture(scope="module")
def free_port() -> int:
    """Return the number of a port that no server listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_folder_without_runs_is_an_error(
    free_port: int, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main([str(tmp_path), "--port", str(free_port)]) == 2
    assert capsys.readouterr().err == f"error: there are no runs in {tmp_path}\n"


def test_a_busy_port_is_an_error_that_names_another(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        assert main([str(tmp_path), "--port", str(port)]) == 2
    other = port + 1 if port < 65535 else port - 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: port {port} is in use")
    assert line.endswith(f"make dashboard PORT={other}, or --port {other}")


@pytest.mark.parametrize("port", ["0", "-1", "65536", "http"])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main([f"--port={port}"])
    assert f"argument --port: invalid port value: '{port}'" in capsys.readouterr().err


def test_only_the_page_alone_is_redirected_to_the_one_with_cards() -> None:
    app = with_pinned_cards(lambda *_: [b"page"], ["artist/map_at_10"])
    answers: list[tuple] = []
    assert app({"PATH_INFO": "/"}, lambda *words: answers.append(words)) == []
    ((status, headers),) = answers
    assert status == "302 Found"
    cards = '[{"plugin": "scalars", "tag": "artist/map_at_10"}]'
    query = dict(headers)["Location"].removeprefix("/?")
    assert parse_qs(query) == {"pinnedCards": [cards]}
    for path, words in (("/", query), ("/data/runs", "")):
        assert app({"PATH_INFO": path, "QUERY_STRING": words}, pytest.fail) == [b"page"]


@pytest.fixture(scope="module")
def sweep(shared_paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a sweep of four runs, started by the command."""
    outputs = tmp_path_factory.mktemp("swept") / "outputs"
    words = ["-m", "backbone.layer=layer1,layer2", "similarity.top_k=2,3", "data=folder"]
    words += [f"data.images={shared_paintings}", f"outputs={outputs}"]
    words += ["backbone.name=resnet18", "backbone.weights=random", "trainer.accelerator=cpu"]
    words += ["evaluation.resamples=20"]
    assert command("src.run", *words).returncode == 0
    (folder,) = (outputs / "sweeps").glob("*/*")
    return folder


@pytest.fixture(scope="module")
def address(sweep: Path, free_port: int) -> Iterator[str]:
    """Yield the address of the sweep's dashboard, as it prints it."""
    command = [sys.executable, "-m", "src.dashboard", str(sweep), "--port", str(free_port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = iter(server.stdout.readline, "")
        (found,) = re.findall(r"http\S+", next(line for line in lines if "http" in line))
        yield found
        server.terminate()


@pytest.mark.slow
@pytest.mark.browser
def test_every_run_is_in_tensorboard(sweep: Path, address: str, browser) -> None:
    browser.goto(address)
    cells = browser.locator("vaadin-grid-cell-content")
    cells.get_by_text("layer2").nth(1).wait_for()
    texts = [text.strip() for text in cells.all_inner_texts()]
    heads = ["Trial ID", "Show Metrics", "backbone.layer", "similarity.top_k"]
    heads += ["folder/map_at_10", "folder/precision_at_1", "inter"]
    assert texts[: len(heads)] == heads
    for job in range(4):
        metrics = json.loads((sweep / str(job) / "metrics.json").read_text())
        options = yaml.safe_load((sweep / str(job) / ".hydra" / "config.yaml").read_text())
        layer, k = options["backbone"]["layer"], options["similarity"]["top_k"]
        name = f"{job} · {layer} · k={k}"
        at = next(i for i in range(len(texts)) if texts[i : i + 3] == [name, "", layer])
        assert float(texts[at + 3]) == k
        shown = [float(texts[at + 4 + place]) for place in range(len(heads) - 4)]
        assert shown == pytest.approx([metrics[name] for name in heads[4:]], rel=1e-4)
    browser.get_by_text("Parallel coordinates view").click()
    lines = browser.locator("tf-hparams-parallel-coords-plot .foreground path")
    lines.nth(3).wait_for(state="attached")
    assert lines.count() == 4 and all(line.get_attribute("d") for line in lines.all())


@pytest.mark.slow
@pytest.mark.browser
def test_pictures_and_points_are_in_tensorboard(sweep: Path, address: str, browser) -> None:
    base = address.removesuffix("#hparams")
    browser.goto(f"{base}#images")
    browser.get_by_text("tag: neighbors").nth(3).wait_for()
    browser.goto(f"{base}#histograms")
    browser.reload()
    browser.get_by_text("neighbor_scores").first.wait_for()
    with browser.expect_response(re.compile("/sprite_image")) as sprite:
        browser.goto(f"{base}#projector")
        browser.reload()
    assert sprite.value.ok and sprite.value.headers["content-type"] == "image/jpeg"
    page = browser.frame_locator("iframe").frame_locator("iframe")
    page.locator(".numDataPoints", has_text="12").wait_for()
    assert page.get_by_text("does not have WebGL").count() == 0


@pytest.mark.slow
@pytest.mark.browser
def test_time_series_begins_with_the_main_metrics_of_true_runs(
    sweep: Path, address: str, browser
) -> None:
    browser.goto(address)
    browser.locator("vaadin-grid-cell-content").get_by_text("layer2").first.wait_for()
    browser.get_by_text("Time Series", exact=False).first.click()
    cards = browser.locator("metrics-pinned-view card-view")
    cards.nth(2).wait_for()
    for place, name in enumerate(("map_at_10", "precision_at_1")):
        card = cards.nth(place)
        card.get_by_text(name).first.wait_for()  # a card is there before its text
        assert card.inner_text().replace("\n", "").startswith(f"folder/{name}")
    rows = browser.locator("runs-data-table tb-data-table-content-row")
    rows.nth(3).wait_for()
    names = [row.inner_text().strip() for row in rows.all()]
    settings = ["layer1 · k=2", "layer1 · k=3", "layer2 · k=2", "layer2 · k=3"]
    assert sorted(names) == [f"{job} · {text}" for job, text in enumerate(settings)]
