"""A crawl that is killed again and again loses only what was in flight."""

import random
from pathlib import Path

import pytest

from src.downloader import journal
from src.gallery.museum import museum_gallery
from tests.support.hosts import download_to_be_killed, draw_small
from tests.support.iiif_documents import nested
from tests.support.iiif_galleries import TOP, options
from tests.support.iiif_host import IiifHost
from tests.support.processes import Fork, Moment, Point


def points(kills: int) -> list[Point]:
    """Draw the points of kills: at documents, their ETags, the journals, and images."""
    draw, result = random.Random(0), []
    moments: tuple[Moment, ...] = ("before", "half", "after")
    for number in range(kills):
        when = draw.choice(moments)
        if number % 2:
            name = (".json", ".etag", ".json")[number % 3]
            result.append(Point("replace", draw.randrange(1, 12), when, name))
        else:
            result.append(Point("pwrite", draw.randrange(1, 12), when))
    return [*result, Point("replace", 3, "half", ".jpg")]


@pytest.mark.parametrize(
    ("kills", "works"), [(3, 80), pytest.param(20, 600, marks=pytest.mark.slow)]
)
def test_kills_lose_only_what_was_in_flight(
    kills: int, works: int, host: IiifHost, tmp_path: Path, fork: Fork
) -> None:
    records = draw_small(tmp_path / "more", works, side=32, seed=1)
    host.records = {record["image_id"]: record for record in records}
    host.files = {key: tmp_path / "more" / record["file"] for key, record in host.records.items()}
    host.documents = nested(host.address, records, 3)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    museum_gallery(options(f"{host.address}{TOP}", whole))
    expected = set(host.log)
    host.log.clear()
    cfg = options(f"{host.address}{TOP}", killed)
    for point in points(kills):
        host.delay = 0.01
        fork(download_to_be_killed, cfg, point).kill_at_announcement()
    host.delay = 0
    museum_gallery(cfg)
    assert set(host.log) == expected
    requests = [path for path in host.log if path not in (TOP, "/robots.txt")]
    assert len(requests) <= len(expected) + (kills + 1) * 8
    for pattern, least in (("images/*/32/*/*.jpg", works), ("galleries/*/works.csv", 1)):
        files = [
            {path.relative_to(top): path.read_bytes() for path in top.glob(pattern)}
            for top in (whole, killed)
        ]
        assert len(files[0]) == least
        assert files[0] == files[1]
    kept = [sorted(p.name for p in top.glob("manifests/*/*/*")) for top in (whole, killed)]
    assert kept[0] == kept[1]
    for path in killed.glob("*/*/journal.csv"):
        assert all(record.ok for record in journal.read_journal(path).values())
