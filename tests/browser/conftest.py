"""Fixtures of the browser's tests: finished runs, their site, and a client of its server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from src.browser.opened import open_runs
from src.browser.server import application
from src.browser.site import Site
from src.browser.views import NAVIGATION
from src.io.outputs import Outputs
from tests.support.options import changed, small, store


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
def site(two_runs: list[Path], tmp_path: Path) -> Site:
    """Return the site of both runs; what it caches is in tmp_path."""
    return Site(open_runs(two_runs), Outputs(tmp_path / "outputs"), NAVIGATION)


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    """Return a client of the server of both runs."""
    with TestClient(application(site), base_url="http://127.0.0.1:8050") as client:
        yield client
