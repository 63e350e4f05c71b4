from pathlib import Path

import pytest
import torch

from src.checks import UserError
from src.choices import Postprocess
from src.config import Backbone, Config, Similarity
from src.embed import embed
from src.folder import folder_gallery
from src.rank import check_finite, postprocess
from src.retrieval import retrieval
from src.similarity import top_k
from src.sources import Folder


def test_rows_that_are_not_finite_are_refused_by_the_image_name() -> None:
    features = torch.rand(4, 3)
    check_finite(features, ["a", "b", "c", "d"])
    features[2, 1] = torch.nan
    with pytest.raises(UserError, match="of 1 images hold NaN or infinity, the first is c"):
        check_finite(features, ["a", "b", "c", "d"])


def test_whitening_finds_more_of_the_same_artist(shared_data: Path, tmp_path: Path) -> None:
    images, labels = shared_data / "paintings", shared_data / "paintings" / "manifest.csv"
    weights = str(shared_data / "weights" / "squeezenet1_1.pth")
    cfg = Config(
        data=Folder(images=str(images), labels=str(labels)),
        backbone=Backbone("squeezenet1_1", weights, "features.7"),
        outputs=str(tmp_path),
    )
    embeddings = embed(folder_gallery(images, labels, None, 0, tmp_path), cfg)
    artists = embeddings.gallery.labels("artist")
    groups = embeddings.gallery.groups(cfg.similarity)
    precision = {}
    for kind in Postprocess:
        features = postprocess(embeddings, Similarity(postprocess=kind), tmp_path)
        metrics, _ = retrieval("artist", artists, top_k(features, 1).index, groups)
        precision[kind] = metrics["artist/precision_at_1"]
    assert precision[Postprocess.whiten] >= precision[Postprocess.none] + 0.05
