"""Fixtures of the browser's tests: finished runs, their site, and a client of its server."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from starlette.testclient import TestClient

from src.browser.opened import open_runs
from src.browser.server import application
from src.browser.site import Site
from src.browser.views import NAVIGATION
from src.io.outputs import Outputs
from src.reporting.run_folder import RunFolder
from tests.conftest import FLAGS
from tests.support import looked_at
from tests.support.browsed import Browsed, browsed
from tests.support.hostile_texts import draw_hostile, poison_run
from tests.support.looking import Look, looking
from tests.support.options import changed, small, store

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def two_runs(shared_paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the folders of two runs over shared_paintings, of layer1 and layer2, read-only."""
    from src.run import run

    outputs = tmp_path_factory.mktemp("browsed") / "outputs"
    cfg = small(shared_paintings, outputs)
    folders = [outputs / "sweeps" / "2026-01-01" / "12-00-00" / str(job) for job in range(2)]
    for folder, layer in zip(folders, ("layer1", "layer2"), strict=True):
        folder.mkdir(parents=True)
        job = changed(cfg, "backbone", layer=layer, layers=["layer1", "layer2"])
        store(job, folder)
        run(job, folder)
    return folders


@pytest.fixture
def moved(two_runs: list[Path], shared_paintings: Path, tmp_path: Path) -> Path:
    """Return the folder of a run whose images are in tmp_path/paintings, with its own outputs."""
    outputs = shutil.copytree(two_runs[0].parents[3], tmp_path / "outputs")
    run = outputs / two_runs[0].relative_to(two_runs[0].parents[3])
    shutil.copytree(shared_paintings, tmp_path / "paintings")
    path = run / RunFolder(run).paths()["gallery"] / "gallery.yaml"
    facts = yaml.safe_load(path.read_text()) | {"root": str(tmp_path / "paintings")}
    path.write_text(yaml.safe_dump(facts))
    return run


@pytest.fixture
def site(two_runs: list[Path], tmp_path: Path) -> Site:
    """Return the site of both runs; what it caches is in tmp_path."""
    return Site(open_runs(two_runs), Outputs(tmp_path / "outputs"), NAVIGATION)


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    """Return a client of the server of both runs."""
    with TestClient(application(site), base_url="http://127.0.0.1:8050") as client:
        yield client


@pytest.fixture(scope="session")
def hostile_runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the folders of two runs in which every text is hostile, read-only."""
    from src.run import run

    folder = tmp_path_factory.mktemp("hostile")
    cfg = small(draw_hostile(folder / "paintings"), folder / "outputs")
    runs = [folder / "outputs" / "sweeps" / "2026-01-01" / "<evil>" / str(job) for job in range(2)]
    for path, layer in zip(runs, ("layer1", "layer2"), strict=True):
        path.mkdir(parents=True)
        run(changed(cfg, "backbone", layer=layer, layers=["layer1", "layer2"]), path)
        poison_run(path)
    return runs


@pytest.fixture
def hostile_site(hostile_runs: list[Path], tmp_path: Path) -> Site:
    """Return the site of both runs; what it caches is in tmp_path."""
    return Site(open_runs(hostile_runs), Outputs(tmp_path / "outputs"), NAVIGATION)


@pytest.fixture(scope="session")
def looked(tmp_path_factory: pytest.TempPathFactory) -> looked_at.LookedAt:
    """Return three runs and their export, read-only; one for all xdist workers."""
    base = tmp_path_factory.getbasetemp()
    return looked_at.make((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "looked")


@pytest.fixture(scope="session")
def served(
    looked: looked_at.LookedAt, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browsed]:
    """Return a server of the three runs."""
    folder = tmp_path_factory.mktemp("served")
    words = [*looked.runs, "--port", "0", "--outputs", folder]
    with browsed(folder / "errors.txt", *words) as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """Return Chromium. It ends with the module: no test beside it could run an event loop."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def base(request: pytest.FixtureRequest, kind: str) -> str:
    """Return the address of the pages: served, or those of the export."""
    if kind == "server":
        return f"http://{request.getfixturevalue('served').host}/"
    return f"{request.getfixturevalue('looked').exported.as_uri()}/"


@pytest.fixture(params=["server", "files"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return how the pages are opened; a test that is for one way only says so itself."""
    return str(request.param)


@pytest.fixture
def look(chromium: "Browser", base: str, kind: str) -> Iterator[Look]:
    """Return a page in Chromium at which nothing may go wrong."""
    with looking(chromium, base, kind) as look:
        yield look
