import faulthandler
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from PIL import Image

from src.choices import Accelerator, WandbMode
from src.config import Backbone, Config, Similarity, Tracking, Trainer
from src.sources import Folder

if TYPE_CHECKING:
    from playwright.sync_api import Page

# no network of its own, and no sandbox, which root may not have; WebGL without a GPU
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--no-first-run"]
FLAGS += ["--disable-component-update", "--disable-sync", "--use-angle=swiftshader"]
FLAGS += ["--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


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


@pytest.fixture(scope="module")
def kept_paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for all tests of a file."""
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
    return Config(
        data=Folder(images=str(paintings)),
        backbone=Backbone(name="resnet18", weights="random", layer="layer1", layers=[]),
        similarity=Similarity(top_k=3),
        tracking=Tracking(wandb=WandbMode.off, tensorboard=False),
        trainer=Trainer(accelerator=Accelerator.cpu),
        outputs=str(tmp_path / "outputs"),
    )


@pytest.fixture
def small_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of 32 pixels instead of 224 for the network, for speed."""
    from src import embed

    full = embed.transform
    monkeypatch.setattr(
        embed, "transform", lambda *options: replace(full(*options), size=32, crop_from=36)
    )


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
