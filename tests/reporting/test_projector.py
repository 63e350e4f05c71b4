from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from src.gallery import Gallery
from src.gallery.folder import folder_gallery
from src.reporting import projector
from src.reporting.projector import THUMBNAIL, project, sprite, write_projection

COLORS = {"ada": (200, 40, 40), "bea": (40, 200, 40), "cleo": (40, 40, 200)}


@pytest.fixture
def gallery(paintings: Path, tmp_path: Path) -> Gallery:
    made = folder_gallery(paintings, None, None, 0, tmp_path)
    made.works["title"] = ["a\ttab", "two\nlines", *["plain"] * 10]
    return made


def test_projection_keeps_inner_products_of_low_rank_rows() -> None:
    draw = torch.Generator().manual_seed(0)
    rows = torch.rand(50, 4, generator=draw) @ torch.rand(4, 30, generator=draw)
    unit = (rows / rows.norm(dim=1, keepdim=True)).numpy()
    result = project(rows * torch.rand(50, 1, generator=draw), 4)
    assert result.shape == (50, 4)
    np.testing.assert_allclose(result @ result.T, unit @ unit.T, atol=1e-5)


def test_no_other_axes_keep_more() -> None:
    rows = torch.rand(50, 30, generator=torch.Generator().manual_seed(0)) - 0.3
    unit = (rows / rows.norm(dim=1, keepdim=True)).numpy()
    best = (np.linalg.svd(unit, compute_uv=False)[:7] ** 2).sum()  # Eckart and Young
    assert (project(rows, 7) ** 2).sum() == pytest.approx(best, rel=1e-5)
    np.testing.assert_allclose(project(rows, 30), unit, atol=1e-6)


def test_points_labels_and_thumbnails_are_in_one_order(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "MAX_POINTS", 7)
    features = torch.eye(12)
    write_projection(features, gallery, 1, tmp_path, "layer1")
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (points,) = config.embeddings
    rows = np.loadtxt(tmp_path / points.tensor_path, delimiter="\t").argmax(axis=1).tolist()
    assert len(set(rows)) == 7 and rows == sorted(rows)
    head, *works = (tmp_path / points.metadata_path).read_text().splitlines()
    assert head.split("\t")[0] == "title" and head.split("\t")[-1] == "file"
    assert [line.split("\t")[-1] for line in works] == [gallery.files[row] for row in rows]
    assert all(line.count("\t") == head.count("\t") for line in works)
    assert list(points.sprite.single_image_dim) == [THUMBNAIL, THUMBNAIL]
    with Image.open(tmp_path / points.sprite.image_path) as page:
        assert page.size == (3 * THUMBNAIL, 3 * THUMBNAIL)
        for number, row in enumerate(rows):
            middle = (
                number % 3 * THUMBNAIL + THUMBNAIL // 2,
                number // 3 * THUMBNAIL + THUMBNAIL // 2,
            )
            color = COLORS[gallery.files[row].split("/")[0]]
            assert (
                np.abs(
                    np.subtract(page.resize((9, 9), box=box(middle)).getpixel((4, 4)), color)
                ).max()
                < 40
            )


def box(middle: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return a square around the middle of a thumbnail."""
    return (middle[0] - 8, middle[1] - 8, middle[0] + 8, middle[1] + 8)


def test_the_sample_is_the_same_for_a_seed(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "MAX_POINTS", 5)
    texts = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        write_projection(torch.eye(12), gallery, seed, tmp_path / name, "layer1")
        texts.append((tmp_path / name / "projector" / "works.tsv").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_a_deleted_image_is_a_gray_square_in_its_position(gallery: Gallery) -> None:
    (gallery.root / gallery.files[1]).unlink()
    page = sprite(gallery, [0, 1, 2])
    assert page.size == (2 * THUMBNAIL, 2 * THUMBNAIL)
    assert page.getpixel((THUMBNAIL + 2, 2)) == (232, 232, 232)
