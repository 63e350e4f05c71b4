"""Fixtures of all tests."""

import faulthandler
import os
import shutil
import sys
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
from src.gallery import Gallery
from src.gallery.folder import folder_gallery
from src.io.files import folder_lock
from src.io.printable import printable_lines
from tests.support import budget
from tests.support.options import small
from tests.support.processes import forked_children, started_server  # noqa: F401, fixtures

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Chromium makes no requests of its own, runs as root (no sandbox) and draws WebGL without a GPU
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--no-first-run"]
FLAGS += ["--disable-component-update", "--disable-sync", "--use-angle=swiftshader"]
FLAGS += ["--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("repeatable")
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that takes too long, unless it is marked slow."""
    if item.get_closest_marker("slow"):
        return (yield)
    with budget.budget(budget.SECONDS):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape names that are not UTF-8 in what a test has logged, which xdist could not send."""
    report = yield
    report.sections = [(head, printable_lines(text)) for head, text in report.sections]
    return report


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real paintings and weights, which are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the real paintings and weights are not on this machine")
    return SHARED


@pytest.fixture
def fresh_wandb() -> Iterator[None]:
    """Let wandb read the environment of this test, which it does once in a process."""
    import wandb

    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture(autouse=True)
def crash_prints_its_stack(request: pytest.FixtureRequest) -> None:
    """Enable pytest's faulthandler again, which Lightning's Trainer redirects."""
    if faulthandler.is_enabled():
        faulthandler.disable()
        faulthandler.enable(request.config.stash[fault_handler_stderr_fd_key])


@pytest.fixture(autouse=True)
def threads_are_left_alone() -> Iterator[None]:
    """Fail a test that leaves another number of threads to those that run after it."""
    before = _threads()
    yield
    torch_number, environment = _threads()
    assert environment == before[1]
    assert before[0] in (None, torch_number)


def _threads() -> tuple[int | None, str | None]:
    """Return torch's number of threads, None before its import, and the environment's."""
    torch = sys.modules.get("torch")
    return torch and torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")


@pytest.fixture
def paintings(tmp_path: Path) -> Path:
    """Return a folder of 12 small images by three artists, in a subfolder each."""
    return draw_paintings(tmp_path / "paintings")


@pytest.fixture(scope="session")
def shared_paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same folder for all tests, read-only."""
    return draw_paintings(tmp_path_factory.mktemp("shared") / "paintings")


def draw_paintings(folder: Path) -> Path:
    """Draw the 12 images into folder and return it."""
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
    """Return the options of a run over the small paintings: small network, no trackers."""
    return small(paintings, tmp_path / "outputs")


@pytest.fixture
def gallery(cfg: Config) -> Gallery:
    """Return the gallery of the small paintings."""
    return folder_gallery(Path(cfg.data.images), None, None, 0, Path(cfg.outputs))


@pytest.fixture(scope="session")
def finished_run(shared_paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run of shared_paintings, read-only; outputs is parents[2]."""
    from src.run import run

    outputs = tmp_path_factory.mktemp("finished") / "outputs"
    folder = outputs / "runs" / "2026-01-01" / "12-00-00-000000"
    folder.mkdir(parents=True)
    run(small(shared_paintings, outputs), folder)
    return folder


@pytest.fixture(scope="session")
def drawn_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return outputs/demo with the drawn collection, read-only; one for all xdist workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "outputs" / "demo"
    with folder_lock(folder):
        draw_collection(folder / "seed-0")
    return folder


@pytest.fixture
def small_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the network images of 32 pixels instead of 224, for speed."""
    make_squares_small(monkeypatch)


def make_squares_small(patch: pytest.MonkeyPatch) -> None:
    """Patch the transform to images of 32 pixels."""
    from src.pipeline import embed

    full = embed.transform
    patch.setattr(
        embed, "transform", lambda *options: replace(full(*options), size=32, resize_before_crop=36)
    )


@pytest.fixture(scope="session")
def shared_embeddings(shared_paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an outputs folder with embeddings of shared_paintings at 32 pixels, read-only."""
    from src.pipeline.embed import embed

    cfg = small(shared_paintings, tmp_path_factory.mktemp("embedded") / "outputs")
    with pytest.MonkeyPatch.context() as patch:
        make_squares_small(patch)
        embed(folder_gallery(shared_paintings, None, None, 0, Path(cfg.outputs)), cfg)
    return Path(cfg.outputs)


@pytest.fixture
def embedded(
    shared_embeddings: Path, shared_paintings: Path, small_squares: None, tmp_path: Path
) -> Config:
    """Return options whose embeddings exist already, in outputs of the test's own."""
    return small(shared_paintings, shutil.copytree(shared_embeddings, tmp_path / "outputs"))


@pytest.fixture
def browser() -> Iterator["Page"]:
    """Return a page of a headless Chromium; an error on it fails the test."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    errors: list[str] = []
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=FLAGS)
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("requestfailed", lambda r: errors.append(f"{r.url}: {r.failure}"))
        yield page
        chromium.close()
    aborted = "net::ERR_ABORTED"  # a request that was open when the test went to another page
    assert not [text for text in errors if aborted not in text]


@pytest.fixture
def medium_precision() -> Iterator[None]:
    """Set a reduced precision of float32 products, as callers may have."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)
