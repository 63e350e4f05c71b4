"""The download as a stage: tables, catalog, images, works.csv."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.config import Config
from src.config.data import Demo, Nga
from src.config.data import Download as Options
from src.config.enums import View
from src.demo.server import tables
from src.gallery import Gallery
from src.gallery.downloads import ManyMissing
from src.gallery.museum import museum_gallery
from src.run import run
from tests.support.hosts import BadMuseum, Fault, draw_small


def gallery(museum: BadMuseum, tmp_path: Path, seed: int = 0, **options: object) -> Gallery:
    """Download into tmp_path/outputs; options are those of Nga and of Download."""
    download = {key: options.pop(key) for key in list(options) if hasattr(Options, key)}
    data = Nga(tables=f"{museum.address}/data", **options)  # type: ignore[arg-type]
    download = {"requests_per_second": 0} | download
    cfg = Config(
        data=data, download=Options(**download), outputs=str(tmp_path / "outputs"), seed=seed
    )
    return museum_gallery(cfg)


def written(tmp_path: Path, name: str) -> pd.DataFrame:
    """Return works.csv of a gallery."""
    path = tmp_path / "outputs" / "galleries" / name / "works.csv"
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_works_csv_contains_the_downloaded_images(museum: BadMuseum, tmp_path: Path) -> None:
    missing = list(museum.files)[7]
    museum.faults[missing] = Fault("404")
    result = gallery(museum, tmp_path)
    works = written(tmp_path, result.name)
    expected = [image_id for image_id in museum.files if image_id != missing]
    assert list(works["image_id"]) == expected  # in the order of object_id
    assert (result.missing, result.files) == (1, list(works["file"]))
    for image_id, file, digest in works[["image_id", "file", "sha256"]].to_numpy():
        assert (result.root / file).read_bytes() == museum.files[image_id].read_bytes()
        assert file == f"{image_id[:2]}/{image_id}.jpg"
        assert len(digest) == 64
    first = works.iloc[0]
    assert first[["title", "artist", "date", "decade"]].tolist() == [
        *("Work 0", "Painter 0", "1650", "1650s")
    ]
    assert first[["width", "height", "view"]].tolist() == ["24", "24", "primary"]
    assert first["page"] == "https://www.nga.gov/collection/art-object-page.100.html"
    assert first["iiif"] == f"{museum.address}/iiif/{first['image_id']}"


def test_images_are_stored_by_source_and_size(museum: BadMuseum, tmp_path: Path) -> None:
    images = (tmp_path / "outputs" / "images" / "nga").resolve()
    assert gallery(museum, tmp_path).root == images / "256"
    assert gallery(museum, tmp_path, image_size="16").root == images / "16"
    assert gallery(museum, tmp_path, image_size="thumb").root == images / "thumb"
    assert gallery(museum, tmp_path, image_size=None).root == images / "largest"
    assert set(pd.read_csv(images / "16" / "journal.csv")["width"]) == {16}


def test_selections_share_downloaded_images(museum: BadMuseum, tmp_path: Path) -> None:
    few = gallery(museum, tmp_path, limit=10)
    assert (len(few), len(museum.moments)) == (10, 10)
    assert len(gallery(museum, tmp_path)) == 40
    assert len(museum.moments) == 40
    assert gallery(museum, tmp_path, limit=10).name == few.name
    assert gallery(museum, tmp_path, limit=10, seed=1).name != few.name


def test_newer_tables_add_and_remove_images(
    museum: BadMuseum, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = draw_small(tmp_path / "host", 40)
    museum.tables = tables(records[:30], museum.address)
    assert len(gallery(museum, tmp_path)) == 30
    museum.tables = tables(records[10:], museum.address)
    assert len(gallery(museum, tmp_path)) == 30  # of the cached tables
    with caplog.at_level(logging.INFO):
        newer = gallery(museum, tmp_path, refresh=True)
    assert list(newer.works["image_id"]) == [record["image_id"] for record in records[10:]]
    assert len(museum.moments) == 40
    assert "10  images on disk are not in these tables (kept, not in the gallery)" in caplog.text
    assert len(list(newer.root.glob("*/*.jpg"))) == 40


def test_too_many_missing_images_are_an_error_with_exit_code_1(
    museum: BadMuseum, tmp_path: Path
) -> None:
    for image_id in list(museum.files)[:4]:
        museum.faults[image_id] = Fault("404")
    with pytest.raises(ManyMissing, match="4 of 40 images are missing.*download.max_failed") as e:
        gallery(museum, tmp_path)
    assert e.value.code == 1
    assert gallery(museum, tmp_path, max_failed=0.1).missing == 4
    assert len(museum.moments) == 40


def test_a_refusing_host_is_an_error_with_advice(museum: BadMuseum, tmp_path: Path) -> None:
    museum.every = Fault("403")
    with pytest.raises(
        ManyMissing, match="403 Forbidden; downloaded images are kept; run the same command again"
    ):
        gallery(museum, tmp_path)


def test_existing_images_suffice_if_the_host_is_down(museum: BadMuseum, tmp_path: Path) -> None:
    lost = list(museum.files)[0]
    museum.faults[lost] = Fault("503")
    gallery(museum, tmp_path)
    museum.every, museum.faults = Fault("503"), {}
    assert gallery(museum, tmp_path).missing == 1


def test_the_log_counts_the_outcomes(
    museum: BadMuseum, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, image_id in enumerate(list(museum.files)[:6]):
        museum.faults[image_id] = Fault(("404", "503", "html")[number % 3])
    with caplog.at_level(logging.INFO):
        gallery(museum, tmp_path, max_failed=0.5)
    for line in (
        *("40  images selected", "34  downloaded", "2  permanent: 404 Not Found"),
        *("2  transient: 503 Service", "2  bad content: not an image: text/html"),
    ):
        assert line in caplog.text
    assert "not attempted" not in caplog.text


def tables_in_a_folder(museum: BadMuseum, tmp_path: Path) -> Config:
    """Return the options for tables in a folder, whose images are at 127.0.0.1."""
    (tmp_path / "tables").mkdir()
    for name, body in museum.tables.items():
        (tmp_path / "tables" / name).write_bytes(body)
    cfg = Config(data=Nga(tables=str(tmp_path / "tables")), outputs=str(tmp_path / "outputs"))
    return replace(cfg, download=Options(requests_per_second=0))


def test_tables_may_be_in_a_local_folder(museum: BadMuseum, tmp_path: Path) -> None:
    gallery(museum, tmp_path)
    assert len(museum_gallery(tables_in_a_folder(museum, tmp_path))) == 40


def test_tables_in_a_folder_do_not_reach_local_hosts(
    museum: BadMuseum, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(ManyMissing, match="40 of 40 images are missing"),
    ):
        museum_gallery(tables_in_a_folder(museum, tmp_path))
    reason = "127.0.0.1, no public address: refused unless data.tables or data.manifest is local"
    assert f"40  permanent: {reason}" in caplog.text
    assert not museum.moments


def test_the_demo_is_downloaded_from_its_own_museum(
    cfg: Config, drawn_demo: Path, tmp_path: Path
) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "demo").symlink_to(drawn_demo)
    cfg = replace(cfg, data=Demo(limit=12), download=Options(requests_per_second=0))
    first = museum_gallery(cfg)
    assert (len(first), first.root.name, first.missing) == (12, "256", 0)
    assert first.works["style"].nunique() > 3
    again = museum_gallery(cfg)
    assert again.name == first.name  # though the server's port is another
    assert again.works.drop(columns="url").equals(first.works.drop(columns="url"))


@pytest.mark.slow
def test_a_run_goes_from_tables_to_neighbors(
    museum: BadMuseum, cfg: Config, tmp_path: Path, small_squares: None
) -> None:
    data = Nga(tables=f"{museum.address}/data", view=View.all)
    run(replace(cfg, data=data, download=Options(requests_per_second=0)), tmp_path)
    assert np.load(tmp_path / "top_3_similar.npy").shape == (40, 3)
    assert '"missing": 0' in (tmp_path / "metrics.json").read_text()
