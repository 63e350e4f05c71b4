import faulthandler
import os
import shutil
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from hypothesis import settings
from PIL import Image

from src.config import Config
from src.demo.collection import draw_collection
from src.gallery.folder import folder_gallery
from src.io.files import folder_lock
from tests.support import budget
from tests.support.options import small

if TYPE_CHECKING:
    from playwright.sync_api import Page

# no network of its own, and no sandbox, which root may not have; WebGL without a GPU
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--no-first-run"]
FLAGS += ["--disable-component-update", "--disable-sync", "--use-angle=swiftshader"]
FLAGS += ["--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("repeatable")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that takes long and is not marked slow."""
    if item.get_closest_marker("slow"):
        return (yield)
    with budget.budget(budget.SECONDS):
        return (yield)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real paintings and weights, which are no part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the shared paintings and weights are not on this machine")
    return SHARED


@pytest.fixture(autouse=True)
def stack_of_a_crash(request: pytest.FixtureRequest) -> None:
    """A crash prints its stack, as pytest means it to; Lightning's Trainer undoes that."""
    if faulthandler.is_enabled():
        faulthandler.disable()
        faulthandler.enable(request.config.stash[fault_handler_stderr_fd_key])


@pytest.fixture
def paintings(tmp_path: Path) -> Path:
    """A folder of 12 small images by three artists, a sub-folder each."""
    return drawn(tmp_path / "paintings")


@pytest.fixture(scope="session")
def kept_paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for all tests, to read only."""
    return drawn(tmp_path_factory.mktemp("kept") / "paintings")


def drawn(folder: Path) -> Path:
    """Put the images into folder."""
    draw = np.random.default_rng(0)
    for artist, color in (("ada", (200, 40, 40)), ("bea", (40, 200, 40)), ("cleo", (40, 40, 200))):
        (folder / artist).mkdir(parents=True)
        for number in range(4):
            noise = draw.integers(-40, 40, (30 + number, 40, 3))
            pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / artist / f"{number}.png")
    return folder


@pytest.fixture
def cfg(paintings: Path, tmp_path: Path) -> Config:
    """A run over the small paintings, with a small network and no trackers."""
    return small(paintings, tmp_path / "outputs")


@pytest.fixture(scope="session")
def finished_run(kept_paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the kept paintings, to read only; outputs is parents[2]."""
    from src.run import run

    outputs = tmp_path_factory.mktemp("finished") / "outputs"
    folder = outputs / "runs" / "2026-01-01" / "12-00-00-000000"
    folder.mkdir(parents=True)
    run(small(kept_paintings, outputs), folder)
    return folder


@pytest.fixture(scope="session")
def drawn_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is outputs/demo after the collection was drawn, to read only; one for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "outputs" / "demo"
    with folder_lock(folder):
        draw_collection(folder / "seed-0")
    return folder


@pytest.fixture
def small_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of 32 pixels instead of 224 for the network, for speed."""
    make_squares_small(monkeypatch)


def make_squares_small(replaced: pytest.MonkeyPatch) -> None:
    """Let the network have images of 32 pixels."""
    from src.pipeline import embed

    full = embed.transform
    replaced.setattr(
        embed, "transform", lambda *options: replace(full(*options), size=32, crop_from=36)
    )


@pytest.fixture(scope="session")
def embedded_once(kept_paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs with the rows of the kept paintings' small squares, to read only."""
    from src.pipeline.embed import embed

    cfg = small(kept_paintings, tmp_path_factory.mktemp("embedded") / "outputs")
    with pytest.MonkeyPatch.context() as replaced:
        make_squares_small(replaced)
        embed(folder_gallery(kept_paintings, None, None, 0, Path(cfg.outputs)), cfg)
    return Path(cfg.outputs)


@pytest.fixture
def embedded(
    embedded_once: Path, kept_paintings: Path, small_squares: None, tmp_path: Path
) -> Config:
    """A configuration whose rows are there; the paintings are to be read only."""
    return small(kept_paintings, shutil.copytree(embedded_once, tmp_path / "outputs"))


@pytest.fixture
def browser() -> Iterator["Page"]:
    """A page of a real Chromium without a screen; an error on it fails the test."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    wrong: list[str] = []
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=FLAGS)
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda r: wrong.append(f"{r.url}: {r.failure}"))
        yield page
        chromium.close()
    left = "net::ERR_ABORTED"  # by going to another page
    assert not [text for text in wrong if left not in text]


@pytest.fixture
def medium_precision() -> Iterator[None]:
    """What callers may have set: products of float32 in less than 24 bits."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)
