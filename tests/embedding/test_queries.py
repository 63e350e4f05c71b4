"""Any image is embedded as a gallery is: the same rows, up to the noise of float32."""

import errno
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from glob import escape
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from src.config import Config
from src.config.enums import Accelerator, Compile, Join, Pooling, Precision, Resize
from src.embedding import compilation
from src.embedding import models as networks
from src.embedding.crop import WHOLE, Crop
from src.embedding.layers import layer_join
from src.embedding.models import preset_of
from src.embedding.queries import QueryEmbedder, embed_files
from src.embedding.transforms import transform
from src.errors import UserError
from src.io.unreadable import Unreadable
from src.pipeline.embed import embed, with_named_layers
from tests.support.embedding import list_gallery
from tests.support.options import changed

CASES = {
    "one layer": ({"layer": "layer1"}, {}),
    "a depth": ({"layer": "50%"}, {"resize": Resize.crop}),
    "joined": ({"layer": "layer1+layer2", "pooling": Pooling.max}, {"resize": Resize.pad}),
    "gem": ({"layer": "layer2", "pooling": Pooling.gem, "gem_p": 4.0}, {"image_size": "24"}),
    "weighted": ({"layer": "layer1*0.25+layer3"}, {}),
    "whitened": ({"layer": "layer1*3+layer2", "join": Join.whitened}, {}),
    "whitened alone": ({"layer": "layer2", "join": Join.whitened}, {}),
    "squeezenet": ({"name": "squeezenet1_1", "layer": "features.4"}, {"resize": Resize.crop}),
}


def embedder(cfg: Config) -> QueryEmbedder:
    named = with_named_layers(cfg)
    preset = preset_of(cfg.backbone)
    small = replace(transform(preset, cfg.data), size=32, resize_before_crop=36)
    join = layer_join(named.backbone, preset)
    folders = Path(cfg.outputs).glob(f"embeddings/*/*/{escape(join.folder)}")
    return QueryEmbedder(named, join, small, next(folders, Path()))


def rows_of(made: QueryEmbedder, paths: list[Path]) -> np.ndarray:
    return np.stack([row for _, row in embed_files(made, paths)])


def paths_of(cfg: Config) -> list[Path]:
    gallery = list_gallery(cfg)
    return [gallery.root / file for file in gallery.files]


@pytest.mark.parametrize(("backbone", "data"), CASES.values(), ids=CASES)
def test_rows_are_those_of_the_gallery(
    cfg: Config, small_squares: None, backbone: dict, data: dict
) -> None:
    cfg = changed(changed(cfg, "backbone", layers=None, **backbone), "data", **data)
    stored = embed(list_gallery(cfg), cfg).features
    found = rows_of(embedder(cfg), paths_of(cfg))
    np.testing.assert_allclose(found, stored, rtol=1e-4, atol=1e-5 * np.abs(stored).max())


def test_tokens(cfg: Config, small_squares: None, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = models.VisionTransformer(32, 8, 1, 2, 16, 16).eval()
    monkeypatch.setattr(networks.models, "get_model", lambda *_, **__: network)
    for pooling in (Pooling.token, Pooling.avg):
        job = changed(cfg, "backbone", name="vit_b_16", layer="encoder", pooling=pooling)
        stored = embed(list_gallery(job), job).features
        np.testing.assert_allclose(rows_of(embedder(job), paths_of(job)), stored, 1e-4, 1e-6)


def test_reduced_precision(cfg: Config, small_squares: None) -> None:
    low = changed(cfg, "trainer", precision=Precision["bf16-mixed"])
    stored = embed(list_gallery(low), low).features
    found, exact = (rows_of(embedder(each), paths_of(cfg)) for each in (low, cfg))
    size = np.abs(stored).max()
    assert np.abs(found - stored).max() < 0.005 * size < np.abs(exact - stored).max() * 5
    half = changed(cfg, "trainer", precision=Precision["16-mixed"])
    np.testing.assert_array_equal(rows_of(embedder(half), paths_of(cfg)), exact)


def test_the_network_is_loaded_once_and_only_when_it_is_needed(
    cfg: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, load = [], networks.load_network
    monkeypatch.setattr(networks, "load_network", lambda *w: [calls.append(w), load(*w)][1])
    made = embedder(cfg)
    pixels = made.decode(paths_of(cfg)[0])
    assert not calls
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(made.rows, [[pixels]] * 4)
    assert len(calls) == 1
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_a_part_is_embedded_like_a_file_of_that_part(cfg: Config, tmp_path: Path) -> None:
    made, path = embedder(cfg), tmp_path / "whole.png"
    noise = np.random.default_rng(0).integers(0, 256, (100, 200, 3), np.uint8)
    Image.fromarray(noise).save(path)
    Image.fromarray(noise[20:70, 50:150]).save(tmp_path / "part.png")
    np.testing.assert_array_equal(
        made.decode(path, Crop(25, 20, 50, 50)), made.decode(tmp_path / "part.png")
    )
    np.testing.assert_array_equal(made.decode(path, WHOLE), made.decode(path))


def test_files_that_cannot_be_read_are_told_in_their_place(cfg: Config, tmp_path: Path) -> None:
    made, good = embedder(changed(cfg, "data", batch_size=2)), paths_of(cfg)[:3]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    gone = tmp_path / "gone.jpg"
    given = [good[0], broken, gone, good[1], good[2]]
    found = list(embed_files(made, given))
    assert [path for path, _ in found] == given
    assert "cannot identify image" in found[1][1]
    assert "No such file or directory" in found[2][1]
    rows = np.stack([found[i][1] for i in (0, 3, 4)])
    np.testing.assert_allclose(rows, rows_of(made, good), rtol=1e-5)
    assert list(embed_files(made, [])) == []
    with pytest.raises(Unreadable):
        made.decode(broken)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "too little memory to decode it"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
    ],
)
def test_what_the_machine_lacks_is_a_reason(
    cfg: Config, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    made = embedder(cfg)
    monkeypatch.setattr(made, "decode", fail)
    assert [found for _, found in embed_files(made, paths_of(cfg)[:1])] == [reason]


def test_features_that_are_not_finite_are_refused(
    cfg: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = embedder(cfg)
    extractor, device = made._network()
    monkeypatch.setattr(extractor, "forward", lambda images: [torch.full((len(images), 3), np.nan)])
    assert device.type == cfg.trainer.accelerator.name == Accelerator.cpu.name
    with pytest.raises(UserError, match="holds NaN or infinity"):
        made.rows([made.decode(paths_of(cfg)[0])])


def test_many_files_are_embedded_by_the_compiled_network(
    cfg: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openvino")
    plain = rows_of(embedder(changed(cfg, "trainer", compile=Compile.never)), paths_of(cfg))
    monkeypatch.setitem(compilation.MIN_IMAGES, "cpu", 1)
    made = embedder(changed(cfg, "trainer", compile=Compile.always))
    np.testing.assert_allclose(rows_of(made, paths_of(cfg)), plain, 1e-4, 1e-6)
    assert made._compiled is not None

    def fail(*_: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(compilation, "OpenVino", fail)
    made = embedder(cfg)
    np.testing.assert_array_equal(rows_of(made, paths_of(cfg)), plain)
    assert "runs uncompiled: no compiler" in caplog.text
