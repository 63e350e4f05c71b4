"""data=iiif from a collection to neighbors and metrics of labels."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from src.config import Config
from src.config.data import Download, Iiif
from src.demo.collection import draw_collection
from src.demo.server import served
from src.run import run
from tests.support.commands import command
from tests.support.iiif_host import IiifHost


@pytest.fixture
def drawn(drawn_demo: Path) -> Iterator[IiifHost]:
    """Serve 28 of the demo's paintings as a IIIF collection."""
    folder = drawn_demo / "seed-0"
    records = draw_collection(folder)
    artists = sorted({record["artist"] for record in records})[:4]
    some = [r for r in records if r["artist"] in artists and r["view"] == "primary"]
    for record in some:
        with Image.open(folder / record["file"]) as image:
            record["width"], record["height"] = map(str, image.size)
    with served(host := IiifHost(some, folder)):
        yield host


@pytest.mark.slow
@pytest.mark.parametrize("version", [2, 3])
def test_a_run_goes_from_a_collection_to_neighbors_and_metrics(
    version: int, drawn: IiifHost, cfg: Config, tmp_path: Path, small_squares: None
) -> None:
    data = Iiif(manifest=f"{drawn.address}/p{version}/top.json", image_size="64")
    run(replace(cfg, data=data, download=Download(requests_per_second=0)), tmp_path)
    pairs = pd.read_csv(tmp_path / "neighbors.csv", dtype=str, keep_default_na=False)
    assert len(pairs) == 28 * 3
    services = [url for url in pairs["query_iiif"] if url]
    assert len(services) == 21 * 3  # one in four is a file without a service
    assert all(url.startswith(f"{drawn.address}/level") for url in services)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["artist/map_at_10"] > metrics["artist/map_at_10_chance"]
    assert not [name for name in metrics if name.startswith("rights")]


@pytest.mark.slow
def test_the_commands_take_a_collection(drawn: IiifHost, tmp_path: Path) -> None:
    words = ["data=iiif", f"data.manifest={drawn.address}/p3/top.json", "data.image_size=64"]
    words += [f"outputs={tmp_path}", "download.requests_per_second=0"]
    result = command("src.download", *words)
    assert result.returncode == 0, result.stderr
    assert "28 images: " in result.stdout
    drawn.asked.clear()
    assert command("src.download", *words).returncode == 0
    assert not drawn.asked
