"""Joined layers: weights, and layers that are whitened before, against scikit-learn and numpy."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import normalize
from torchvision import models, transforms

from src.config import Config
from src.config.enums import Join, Pooling
from src.config.layer_terms import parse_terms
from src.embedding.cache import Embeddings
from src.embedding.joining import LayerJoin, is_joined, join_layers, joined_rows, layer_of
from src.errors import UserError
from src.gallery import Gallery
from src.pipeline.embed import embed
from src.similarity.parallel import thread_count
from tests.support.embedding import MEAN, STD, forbid_embedding, layer
from tests.support.options import changed

pytestmark = pytest.mark.usefixtures("small_squares")
Rows = NDArray[np.float64]


def whitened(cfg: Config, name: str, **options: object) -> Config:
    return layer(cfg, name, join=Join.whitened, **options)


def by_sklearn(rows: NDArray[np.float32]) -> Rows:
    """Return rows (n, d) whitened by half, of length 1."""
    units = normalize(rows.astype("f8"))
    pca = PCA(svd_solver="full").fit(units)
    kept = pca.singular_values_**2 > 1e-10 * pca.singular_values_[0] ** 2
    axes, variances = pca.components_[kept], pca.singular_values_[kept] ** 2 / len(rows)
    return normalize((units - units.mean(0)) @ axes.T * variances**-0.25)


def joined(parts: list[Rows], weights: list[float]) -> Rows:
    shares = np.array(weights) / sum(weights)
    return np.hstack([normalize(p) * s**0.5 for p, s in zip(parts, shares, strict=True)])


@pytest.mark.parametrize("weights", [[0.5, 1.0], [3.0, 0.001]])
def test_the_cosine_is_the_weighted_mean_of_the_layers_cosines(cfg, gallery, weights):
    parts = [embed(gallery, layer(cfg, f"layer{i}")).features.astype("f8") for i in (1, 3)]
    found = embed(gallery, layer(cfg, f"layer1*{weights[0]}+layer3*{weights[1]}"))
    np.testing.assert_allclose(found.features, joined(parts, weights), atol=1e-7)
    mean = np.average([cosine_similarity(part) for part in parts], 0, weights)
    np.testing.assert_allclose(cosine_similarity(found.features), mean, atol=1e-6)


def test_equal_weights_have_one_folder(cfg, gallery, monkeypatch):
    first = embed(gallery, layer(cfg, "layer1*0.5+avgpool"))
    assert first.folder.name == "layer1*0.5+layer4"
    assert options_of(first)["layer"] == "layer1*0.5+layer4"
    plain = embed(gallery, layer(cfg, "layer1+layer2"))
    forbid_embedding(monkeypatch)
    assert embed(gallery, layer(cfg, "layer1*.50+layer4*1.0")).folder == first.folder
    for same in ("layer1*2+layer2*2", "25%+50%", "25%*1+layer2"):
        assert embed(gallery, layer(cfg, same)).folder == plain.folder
    assert embed(gallery, layer(cfg, "layer1*3")).folder.name == "layer1"


def options_of(embeddings: Embeddings) -> dict[str, str]:
    options: dict[str, str] = yaml.safe_load((embeddings.folder / "options.yaml").read_text())
    return options


@pytest.mark.parametrize("pooling", [Pooling.avg, Pooling.meanstd])
@pytest.mark.parametrize(
    ("name", "weights"), [("layer1+layer2", [1, 1]), ("layer1*2+layer2", [2, 1])]
)
def test_each_layer_is_whitened_alone_then_joined(cfg, gallery, pooling, name, weights):
    cfg = changed(cfg, "backbone", pooling=pooling)
    alone = [embed(gallery, layer(cfg, part, layers=[])).features for part in ("layer1", "layer2")]
    found = embed(gallery, whitened(cfg, name, layers=[])).features
    expected = joined([by_sklearn(part) for part in alone], weights)
    assert found.shape == expected.shape == (12, 11 + 11)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-6)
    np.testing.assert_allclose(aligned(found, expected), expected, atol=1e-6)


@torch.inference_mode()
def by_hooks(gallery: Gallery, layers: list[str]) -> list[Rows]:
    """Return by torchvision and numpy what meanstd is of each layer: (n, 2c)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = models.resnet18().eval()
    seen: list[Rows] = []
    for name in layers:
        network.get_submodule(name).register_forward_hook(
            lambda *args: seen.append(args[2].double().numpy())
        )
    steps = [transforms.Resize((32, 32)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    pictures = [Image.open(gallery.root / file).convert("RGB") for file in gallery.files]
    network(torch.stack([transforms.Compose(steps)(picture) for picture in pictures]))
    return [
        np.hstack([normalize(maps.mean((2, 3))), normalize(maps.std((2, 3), ddof=1))])
        for maps in seen
    ]


def test_the_whole_chain_is_that_of_torchvision_numpy_and_scikit_learn(cfg, gallery):
    options = {"pooling": Pooling.meanstd, "join": Join.whitened, "layers": []}
    found = embed(gallery, layer(cfg, "layer1*0.5+layer3", **options)).features
    parts = [by_sklearn(rows) for rows in by_hooks(gallery, ["layer1", "layer3"])]
    expected = cosine_similarity(joined(parts, [0.5, 1]))
    np.testing.assert_allclose(cosine_similarity(found.astype("f8")), expected, atol=1e-6)


def aligned(rows: NDArray[np.float32], expected: Rows) -> Rows:
    """Return rows with the signs of their axes, which are arbitrary, as expected."""
    return rows * np.sign((rows * expected).sum(0))


def test_a_layer_alone_may_be_whitened(cfg, gallery):
    found, plain = embed(gallery, whitened(cfg, "layer2")), embed(gallery, layer(cfg, "layer2"))
    assert (found.folder.name, plain.folder.name) == ("layer2-whitened", "layer2")
    assert options_of(found) == options_of(plain) | {"join": "whitened"}
    expected = by_sklearn(plain.features)
    np.testing.assert_allclose(aligned(found.features, expected), expected, atol=1e-6)


def test_a_sweep_over_joins_embeds_once(cfg, gallery, monkeypatch):
    embed(gallery, layer(cfg, "layer1"))
    forbid_embedding(monkeypatch)
    for name in ("layer1", "layer1+layer2", "layer2*0.5+layer1"):
        for kind in Join:
            embed(gallery, layer(cfg, name, join=kind))
    names = {path.name for path in Path(cfg.outputs).glob("embeddings/*/*/*") if path.is_dir()}
    assert names >= {"layer1-whitened", "layer1+layer2", "layer1+layer2-whitened"}
    assert names >= {"layer2*0.5+layer1", "layer2*0.5+layer1-whitened"}


def write_layer(folder: Path, rows: NDArray[np.float32]) -> None:
    folder.mkdir()
    np.save(folder / "features.npy", rows)
    np.save(folder / "sha256.npy", np.array(["x"] * len(rows)))
    for other in ("image_names.npy", "skipped.csv"):
        (folder / other).touch()


def test_bits_do_not_depend_on_blocks_or_threads(tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    for name, d in (("a", 40), ("b", 90)):
        write_layer(tmp_path / name, draw.random((600, d), "f4"))
    join, found = LayerJoin(tuple(parse_terms("a*0.3+b")), is_whitened=True), set()
    for number, (block, threads) in enumerate([(1024, 1), (1024, 2), (256, 1), (512, 2)]):
        monkeypatch.setattr("src.embedding.joining.BLOCK", block)
        with thread_count(threads):
            join_layers(join, tmp_path, {})
        folder = (tmp_path / join.folder).rename(tmp_path / str(number))
        found.add((folder / "features.npy").read_bytes() + (folder / "whitening.npz").read_bytes())
    assert len(found) == 1


@pytest.mark.parametrize(("n", "rows"), [(1, [[1.0, 2]]), (3, [[1.0, 2]] * 3), (2, [[0.0, 0]] * 2)])
def test_rows_that_are_equal_cannot_be_whitened(tmp_path, n, rows):
    write_layer(tmp_path / "a", np.eye(n, 3, dtype="f4"))
    write_layer(tmp_path / "b", np.array(rows, "f4"))
    join = LayerJoin(tuple(parse_terms("b+a")), is_whitened=True)
    with pytest.raises(UserError, match=f"the rows of b are equal in all {n}: use backbone.join=r"):
        join_layers(join, tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_row_of_zeros_stays_zero_in_every_join(tmp_path):
    rows = np.random.default_rng(0).random((9, 5), "f4")
    for name, empty in (("a", 3), ("b", 4)):
        write_layer(tmp_path / name, np.where(np.arange(9)[:, None] == empty, 0, rows))
    for is_whitened in (False, True):
        join = LayerJoin(tuple(parse_terms("a*3+b")), is_whitened)
        join_layers(join, tmp_path, {})
        left, right = np.split(np.load(tmp_path / join.folder / "features.npy"), 2, axis=1)
        assert not left[3].any() and not right[4].any()
        np.testing.assert_allclose((left[4] ** 2).sum(), 0.75, rtol=1e-6)


@pytest.mark.parametrize("folder", ["a", "a+b", "a*0.5+b", "a-whitened", "a+b-whitened"])
def test_folders_tell_what_is_in_them(folder):
    terms = tuple(parse_terms(layer_of(Path(folder))))
    assert LayerJoin(terms, folder.endswith("-whitened")).folder == folder
    assert is_joined(folder) == (folder != "a")


def test_unweighted_rows_are_those_of_earlier_versions():
    draw = np.random.default_rng(0)
    parts = [draw.random((50, d), "f4") for d in (3, 7, 5)]
    units = [p.astype("f8") / np.linalg.norm(p.astype("f8"), axis=1, keepdims=True) for p in parts]
    expected = (np.concatenate(units, 1) / np.sqrt(3)).astype("f4")
    assert joined_rows(parts).tobytes() == expected.tobytes()
