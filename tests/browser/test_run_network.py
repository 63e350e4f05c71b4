"""The network of a finished run, opened from its folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torchvision import models

from src.browser.opened import open_runs
from src.browser.run_network import open_network
from src.browser.run_search import run_search
from src.config import Config
from src.config.enums import Join, Pooling, Postprocess, RankedBy
from src.embedding.queries import embed_files
from src.errors import UserError
from src.io.outputs import Outputs
from src.reporting.run_folder import RunFolder
from src.run import run
from tests.support.options import changed, store


def finish(cfg: Config) -> RunFolder:
    """Run, and return the folder."""
    folder = Path(cfg.outputs, "runs", "2026-01-01", "12-00-00-000000")
    store(cfg, folder)
    run(cfg, folder)
    return RunFolder(folder)


def rows(found: RunFolder) -> np.ndarray:
    """What the run's network makes of the images of its gallery."""
    gallery = found.gallery()
    network = open_network(found, Outputs(found.path.parents[2]))
    return np.stack(
        [row for _, row in embed_files(network, [gallery.root / file for file in gallery.files])]
    )


def edit(found: RunFolder, group: str, **options: object) -> None:
    path = found.path / ".hydra" / "config.yaml"
    stored = yaml.safe_load(path.read_text())
    stored[group] |= options
    path.write_text(yaml.safe_dump(stored))


def with_file(cfg: Config, path: Path) -> Config:
    torch.save(models.resnet18().state_dict(), path)
    return changed(cfg, "backbone", weights=str(path))


def test_a_joined_layer_named_by_depth(cfg: Config) -> None:
    found = finish(changed(cfg, "backbone", layer="25%+50%", layers=None))
    joined = rows(found)
    np.testing.assert_allclose(joined, found.features(), rtol=1e-4, atol=1e-7)
    assert joined.shape[1] == 64 + 128


MEAN_AND_STD = {"layer": "layer1*0.5+layer3", "pooling": Pooling.meanstd, "join": Join.whitened}


@pytest.mark.parametrize(
    ("backbone", "similarity"),
    [
        (MEAN_AND_STD, {}),
        (MEAN_AND_STD, {"postprocess": Postprocess.whiten}),
        ({"layer": "layer2", "join": Join.whitened}, {"postprocess": Postprocess.center}),
        ({"layer": "layer1*3+layer4", "pooling": Pooling.max}, {"ranking": RankedBy.csls}),
    ],
    ids=str,
)
def test_an_image_of_the_gallery_finds_itself_first(
    cfg: Config, backbone: dict, similarity: dict
) -> None:
    cfg = changed(changed(cfg, "backbone", layers=[], **backbone), "similarity", **similarity)
    found = finish(cfg)
    (opened,) = open_runs([found.path])
    index, score = run_search(opened).nearest(torch.from_numpy(rows(found)), 2)
    assert index[:, 0].tolist() == list(range(12))
    assert {f"{one:.4f}" for one in score[:, 0].tolist()} == {"1.0000"}
    assert (score[:, 1] < 0.99995).all()


def test_a_whitening_that_is_gone_or_damaged_is_named(cfg: Config) -> None:
    found = finish(changed(cfg, "backbone", layer="layer1+layer2", join=Join.whitened, layers=[]))
    (path,) = Path(cfg.outputs).glob("embeddings/*/*/*/whitening.npz")
    with np.load(path) as arrays:
        kept = dict(arrays)
    assert {name: array.shape for name, array in kept.items()} == {
        "layer1/mean": (64,),
        "layer1/axes": (64, 11),
        "layer2/mean": (128,),
        "layer2/axes": (128, 11),
    }
    for odd in (kept["layer2/axes"][:5], kept["layer2/axes"] * np.nan, np.float32([1]), None):
        arrays = {name: array for name, array in kept.items() if name != "layer2/axes"}
        np.savez(path, **arrays, **({} if odd is None else {"layer2/axes": odd}))
        with pytest.raises(UserError, match=r"whitening.npz is damaged.*no mean .* of layer2"):
            rows(found)
    path.unlink()
    with pytest.raises(UserError, match=r"whitening.npz, which whitens new images, is gone"):
        rows(found)


def test_weights_in_a_file_are_found_from_elsewhere(cfg: Config, tmp_path: Path) -> None:
    path = tmp_path / "style.pth"
    found = finish(with_file(cfg, path))
    edit(found, "backbone", weights="style.pth")
    (found.path / ".hydra" / "hydra.yaml").write_text(
        yaml.safe_dump({"hydra": {"runtime": {"cwd": str(tmp_path)}}})
    )
    np.testing.assert_allclose(rows(found), found.features(), rtol=1e-4, atol=1e-6)
    path.unlink()
    with pytest.raises(UserError, match=r"put the file style.pth \(sha256 \w+\) back as /.*/style"):
        open_network(found, Outputs(tmp_path))


def test_weights_that_have_changed_are_refused(cfg: Config, tmp_path: Path) -> None:
    found = finish(with_file(cfg, tmp_path / "style.pth"))
    with_file(cfg, tmp_path / "style.pth")
    with pytest.raises(UserError, match="weights=style.pth.* put that file back as .*style.pth"):
        open_network(found, Outputs(tmp_path))


def test_weights_that_cannot_be_downloaded_name_their_place(
    cfg: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = finish(cfg)
    record = next(Path(cfg.outputs).glob("embeddings/*/*/layer1/options.yaml"))
    record.write_text(record.read_text().replace("random (seed 0)", "IMAGENET1K_V1"))
    edit(found, "backbone", weights="IMAGENET1K_V1")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(models, "get_model", refuse)
    with pytest.raises(UserError, match=r"save https://.* as .*hub/checkpoints/resnet18"):
        rows(found)


def test_other_options_than_those_of_the_rows_are_refused(cfg: Config) -> None:
    found = finish(cfg)
    edit(found, "data", resize="pad")
    with pytest.raises(UserError, match="was made with transform=.*squash.*, but now.*pad"):
        open_network(found, Outputs(Path(cfg.outputs)))


def test_embeddings_that_are_gone_are_told(cfg: Config) -> None:
    found = finish(cfg)
    shutil.rmtree(Path(cfg.outputs, "embeddings"))
    with pytest.raises(UserError, match="the run's embeddings in .* are gone"):
        open_network(found, Outputs(Path(cfg.outputs)))


def test_a_run_of_an_earlier_version(tmp_path: Path) -> None:
    earlier = Path(__file__).parents[1] / "support" / "earlier"
    found = RunFolder(next(earlier.glob("runs/*/*")))
    network = open_network(found, Outputs(tmp_path))
    assert (network.join.layers, network.transform.size) == (["layer1"], 224)
