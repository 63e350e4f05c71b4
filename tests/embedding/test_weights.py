"""Weights: from a file, from torchvision, and what identifies them."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn
from urllib.error import HTTPError, URLError

import pytest
import torch
from torch import nn
from torchvision import models

from src.config import Backbone
from src.embedding.models import load_network
from src.embedding.presets import weights_id
from src.errors import UserError

FILE = "squeezenet1_1-b8a52dc0.pth"  # torchvision's
PUBLISHED = Backbone(name="squeezenet1_1", weights="IMAGENET1K_V1", layer="features")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def tiny() -> nn.Module:
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 2, 1), relu=nn.ReLU()))


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """Return a small network that is built in place of any of torchvision's."""
    network = tiny()
    monkeypatch.setattr(models, "get_model", lambda *_, **__: network)
    return network


@pytest.fixture
def from_file(tmp_path: Path, small_network: nn.Module) -> Backbone:
    """Options that name a file of weights for the small network."""
    (tmp_path / "own.pth").touch()
    return Backbone(weights=str(tmp_path / "own.pth"), layer="relu")


def refused(options: Backbone) -> str:
    """The message, one line."""
    with pytest.raises(UserError) as caught:
        load_network(options, 0)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def image() -> torch.Tensor:
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder for the downloads of torch.hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise URLError("no way")

    monkeypatch.setattr(torch.hub, "urlopen", fail)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serves the test's folder on this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_weights_from_a_file(
    from_file: Backbone, small_network: nn.Module, dtype: torch.dtype
) -> None:
    expected = {name: value.to(dtype) for name, value in tiny().state_dict().items()}
    torch.save(expected, from_file.weights)
    load_network(from_file, 0)
    for name, value in small_network.state_dict().items():
        assert torch.equal(value, expected[name].float())


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"conv.weight": torch.zeros(2, 3, 1, 1)},
         "own.pth lacks the keys conv.bias: check backbone.name=resnet50"),
        ({}, "own.pth lacks the keys conv.weight, conv.bias: check"),
        (tiny().state_dict() | {"abcd"[n]: torch.zeros(1) for n in range(4)},
         "own.pth has unexpected keys a, b, c and 1 more: check backbone.name=resnet50"),
        (tiny().state_dict() | {"conv.bias": torch.zeros(3)}, "size mismatch for conv.bias"),
        ({"state_dict": tiny().state_dict()}, "own.pth lacks the keys conv.weight, conv.bias"),
        ({1: torch.zeros(1)}, "own.pth is not a state dict for Sequential"),
        ([1, 2], "not a state dict for Sequential: Expected state_dict to be dict-like"),
        (torch.zeros(2), "not a state dict for Sequential: Expected state_dict to be dict-like"),
        (tiny(), "not a state dict for Sequential: Weights only load failed"),
    ],
)  # fmt: skip
def test_a_file_of_other_weights_is_refused(
    from_file: Backbone, state: object, message: str
) -> None:
    torch.save(state, from_file.weights)
    assert message in refused(from_file)


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\3\4", b"\xb0\xff", b"\x80\2h\x82."])
def test_a_file_that_is_no_checkpoint_is_refused(from_file: Backbone, content: bytes) -> None:
    Path(from_file.weights).write_bytes(content)
    assert "own.pth is not a state dict for Sequential: " in refused(from_file)


@torch.inference_mode()
def test_real_weights_load(shared_data: Path) -> None:
    path = shared_data / "weights" / "squeezenet1_1.pth"
    loaded = load_network(replace(PUBLISHED, weights=str(path)), 0).eval()
    network = models.squeezenet1_1().eval()
    network.load_state_dict(torch.load(path, weights_only=True))
    assert torch.equal(loaded(image()), network(image()))


def test_weights_that_a_model_lacks_are_refused_with_those_it_has() -> None:
    message = refused(replace(PUBLISHED, weights="IMAGENET1K_V2"))
    assert "weights=IMAGENET1K_V2: squeezenet1_1 has IMAGENET1K_V1; random or the path" in message


@pytest.mark.usefixtures("offline")
def test_the_error_for_a_failed_download_names_the_fix(hub: Path) -> None:
    message = refused(PUBLISHED)
    assert "IMAGENET1K_V1 could not be downloaded (<urlopen error no way>)" in message
    assert f"save https://download.pytorch.org/models/{FILE} as {hub / FILE}, " in message
    assert "or set backbone.weights=<path of a state dict> (backbone.weights=random has" in message
    assert list(hub.iterdir()) == []


@pytest.mark.usefixtures("offline")
def test_a_damaged_download_is_refused(hub: Path) -> None:
    (hub / FILE).write_bytes(b"half a file")
    message = refused(PUBLISHED)
    assert f"{hub / FILE} is damaged" in message
    assert message.endswith("delete it and run the same command again")


def serve(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, checksum: str = "") -> Path:
    """Serve weights on the local server instead of the published ones; return their file."""
    source = tmp_path / "random.pth"
    torch.save(models.squeezenet1_1().state_dict(), source)
    checksum = checksum or hashlib.sha256(source.read_bytes()).hexdigest()[:8]
    entry = models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    monkeypatch.setattr(entry.value, "url", f"{url}/net-{checksum}.pth")
    return source.rename(tmp_path / f"net-{checksum}.pth")


def test_weights_are_downloaded_once(
    tmp_path: Path, hub: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(tmp_path, server, monkeypatch)
    load_network(PUBLISHED, 0)
    expected = torch.load(served, weights_only=True)["features.0.weight"]
    served.unlink()
    network = load_network(PUBLISHED, 0)
    assert [path.name for path in hub.iterdir()] == [served.name]
    assert torch.equal(network.get_submodule("features.0").weight, expected)


def test_a_download_with_another_checksum_is_refused(
    tmp_path: Path, hub: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(tmp_path, server, monkeypatch, "0badc0de")
    assert 'not be downloaded (invalid hash value (expected "0badc0de"' in refused(PUBLISHED)
    assert list(hub.iterdir()) == []


def test_a_file_that_the_server_lacks_is_an_error(
    tmp_path: Path, hub: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(tmp_path, server, monkeypatch).unlink()
    with pytest.raises(
        UserError, match="not be downloaded .HTTP Error 404: File not found"
    ) as caught:
        load_network(PUBLISHED, 0)
    assert isinstance(caught.value.__cause__, HTTPError)
    caught.value.__cause__.close()  # else its socket warns whenever it is collected
    assert list(hub.iterdir()) == []


def test_different_weights_have_different_ids(tmp_path: Path) -> None:
    for name, content in (("a.pth", b"1"), ("b.pth", b"1"), ("c.pth", b"2")):
        (tmp_path / name).write_bytes(content)
    files = [Backbone(weights=str(tmp_path / name)) for name in ("a.pth", "b.pth", "c.pth")]
    ids = {weights_id(options, 0) for options in files}
    ids |= {weights_id(Backbone(weights="random"), seed) for seed in (0, 1)}
    ids |= {weights_id(Backbone(weights=f"IMAGENET1K_V{n}"), 0) for n in (1, 2)}
    assert len(ids) == 7
    (tmp_path / "a.pth").write_bytes(b"3")
    assert weights_id(files[0], 0) not in ids
