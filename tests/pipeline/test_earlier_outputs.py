"""Outputs of an earlier version, in tests/support/earlier, are read and not computed again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from src import show
from src.config import Config, Similarity
from src.config.enums import Storage
from src.embedding.cache import Embeddings
from src.leaderboard.__main__ import main as leaderboard
from src.leaderboard.runs import read_runs
from src.pipeline.embed import embed
from src.pipeline.rank import rank
from src.runtime.devices import processor_name
from tests.support.brute_force import contract
from tests.support.embedding import forbid_embedding, list_gallery
from tests.support.options import small

EARLIER = Path(__file__).parents[1] / "support" / "earlier"
GALLERY, BACKBONE = "folder-ab43736760da", "resnet18-a2e025f6e0f3"
RUN = Path("runs", "2026-11-26", "12-00-00-000000")


@pytest.fixture
def cfg(tmp_path: Path) -> Config:
    """The options of the earlier version's run, over a copy of what it left."""
    outputs = shutil.copytree(EARLIER, tmp_path / "outputs")
    images = (outputs / "images").rename(tmp_path / "images")
    gallery = outputs / "galleries" / GALLERY / "gallery.yaml"
    gallery.write_text(gallery.read_text().replace("root: /images", f"root: {images}"))
    return small(images, outputs)


def embed_again(cfg: Config, folder: Path | None = None) -> Embeddings:
    """Embed the same images; if folder is given, it first becomes their gallery's embeddings."""
    gallery = list_gallery(cfg)
    if folder:  # a gallery's name depends on the path of its images, which is another here
        folder.rename(folder.with_name(gallery.name))
    return embed(gallery, cfg)


def earlier_features() -> np.ndarray:
    return np.load(EARLIER / "embeddings" / GALLERY / BACKBONE / "layer1" / "features.npy")


def test_earlier_embeddings_of_the_same_gallery_are_used(cfg, monkeypatch):
    forbid_embedding(monkeypatch)
    embeddings = embed_again(cfg, Path(cfg.outputs, "embeddings", GALLERY))
    assert embeddings.folder.parent.name == BACKBONE
    assert embeddings.facts["reused_embeddings"]
    np.testing.assert_array_equal(embeddings.features, earlier_features())


def test_earlier_rows_are_copied_to_another_gallery(cfg, monkeypatch):
    forbid_embedding(monkeypatch)
    embeddings = embed_again(cfg)
    assert embeddings.folder.parent.name == BACKBONE
    assert embeddings.facts["copied_rows"] == 6
    np.testing.assert_array_equal(embeddings.features, earlier_features())


def test_an_earlier_unfinished_pass_is_resumed(cfg):
    """Four of six rows are done, which are zeros so that they are known from computed ones."""
    folder = Path(cfg.outputs, "embeddings", GALLERY)
    part = folder / BACKBONE / "0123456789ab.part"
    shutil.move(folder / BACKBONE / "layer1", part / "layer1")
    np.save(part / "layer1" / "features.npy", np.zeros((6, 64), "f4"))
    device = processor_name(torch.device("cpu"), architecture=True)
    record = {"layers": ["layer1"], "batch": 6, "compiler": None, "device": device}
    (part / "record.json").write_text(json.dumps(record | {"torch": torch.__version__}))
    (part / "done-0.jsonl").write_text('\n{"rows": [0, 1, 2, 3], "unreadable": []}\n{"rows": [4')
    embeddings = embed_again(cfg, folder)
    assert (embeddings.facts["resumed_rows"], embeddings.facts["embedded_rows"]) == (4, 2)
    assert not embeddings.features[:4].any()
    np.testing.assert_allclose(embeddings.features[4:], earlier_features()[4:], 1e-4, 1e-5)
    assert not part.exists()


def test_an_earlier_matrix_is_written_anew_and_the_neighbors_are_the_same(cfg, tmp_path):
    embeddings = embed_again(cfg, Path(cfg.outputs, "embeddings", GALLERY))
    matrix = embeddings.folder / "similarity_scores.npy"
    written = matrix.stat().st_mtime_ns
    cfg.similarity = Similarity(storage=Storage.full, top_k=2)
    ranking = rank(embeddings, cfg, tmp_path)
    assert matrix.stat().st_mtime_ns != written
    scores = np.load(matrix)
    assert scores.tobytes() == contract(embeddings.features).tobytes()
    with np.load(EARLIER / RUN / "neighbors.npz") as neighbors:
        np.testing.assert_array_equal(ranking.saved.index, neighbors["index"])
        np.testing.assert_array_equal(ranking.saved.score, neighbors["score"])


def test_a_painting_of_an_earlier_run_is_shown(cfg, capsys):
    run = Path(cfg.outputs) / RUN
    assert show.main(["red/0.png", "--run", str(run), "--no-open"]) == 0
    with np.load(run / "neighbors.npz") as neighbors:
        best = ["1", f"{neighbors['score'][3, 0]:.4f}", "row", str(neighbors["index"][3, 0])]
    lines = [line.replace("*", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert best in [words[:4] for words in lines]
    with Image.open(run / "neighbors-3.jpg") as picture:
        assert picture.width > 500


def test_an_earlier_run_is_on_the_leaderboard(cfg, capsys):
    assert leaderboard([str(Path(cfg.outputs) / RUN)]) == 0
    printed = capsys.readouterr().out
    metrics = json.loads((EARLIER / RUN / "metrics.json").read_text())
    assert f"{metrics['intra']:.3f} [{metrics['intra_low']:.3f}, " in printed


def test_an_earlier_run_is_read_whole(cfg):
    (run,) = read_runs([Path(cfg.outputs)])
    metrics = json.loads((EARLIER / RUN / "metrics.json").read_text())
    # these had other meanings
    for label in ("artist", "folder"):
        metrics[f"{label}/label_auc_sampled"] = metrics.pop(f"{label}/label_auc")
        for end in ("", "_chance", "_macro", "_low", "_high"):
            del metrics[f"{label}/r_precision{end}"]
    assert run.metrics == metrics
    assert run.settings["backbone.layer"] == "layer1"
    assert run.images() == (GALLERY, "47dbd8f1fdc0c327")
    assert not run.error
