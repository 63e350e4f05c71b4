"""A download that is killed again and again loses only what was in flight."""

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from src.config import Config
from src.config.data import Download as Options
from src.config.data import Nga
from src.demo.server import tables
from src.downloader import journal
from src.gallery.museum import museum_gallery
from tests.support.hosts import BadMuseum, download_to_be_killed, draw_small
from tests.support.processes import (
    Fork,
    Moment,
    Point,
)


def points(kills: int) -> list[Point]:
    """Draw the points of kills: one in four at the tables, the others at images and the journal."""
    draw, result = random.Random(0), []
    moments: tuple[Moment, ...] = ("before", "half", "after")
    for number in range(kills):
        when = draw.choice(moments)
        if number % 4 == 1:
            result.append(Point("replace", draw.randrange(5), when, ".csv"))
        elif draw.random() < 0.5:
            result.append(Point("replace", draw.randrange(20), when, ".jpg"))
        else:
            result.append(Point("pwrite", draw.randrange(1, 20), when))
    return result


@pytest.mark.parametrize(
    ("kills", "images"), [(6, 150), pytest.param(20, 500, marks=pytest.mark.slow)]
)
def test_kills_lose_only_what_was_in_flight(
    kills: int,
    images: int,
    museum: BadMuseum,
    tmp_path: Path,
    fork: Fork,
) -> None:
    records = draw_small(tmp_path / "more", images, seed=1)
    museum.files = {r["image_id"]: tmp_path / "more" / r["file"] for r in records}
    museum.tables = tables(records, museum.address)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    download = Options(requests_per_second=0, workers=8)
    cfg = Config(data=Nga(tables=f"{museum.address}/data"), download=download, outputs=str(killed))
    museum_gallery(replace(cfg, outputs=str(whole)))
    museum.moments.clear()
    museum.delay = 0.02
    for point in points(kills):
        if point.name == ".csv":
            shutil.rmtree(killed / "tables", ignore_errors=True)
        fork(download_to_be_killed, cfg, point).kill_at_announcement()
    assert kills < len(list(killed.glob("images/nga/256/*/*.jpg"))) < images
    museum.delay = 0
    museum_gallery(cfg)
    assert len(museum.moments) <= images + kills * 8
    for pattern, count in (("images/nga/256/*/*", images), ("galleries/*/works.csv", 1)):
        files = [
            {path.relative_to(top): path.read_bytes() for path in top.glob(pattern)}
            for top in (whole, killed)
        ]
        assert len(files[0]) == count
        assert files[0] == files[1]
    outcomes = journal.read_journal(killed / "images" / "nga" / "256" / "journal.csv")
    assert outcomes.keys() == museum.files.keys()
    assert all(record.ok for record in outcomes.values())
