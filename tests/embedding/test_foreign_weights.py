"""Files of weights in the cache of torch.hub that others made: no code in them runs."""

import hashlib
import os
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from src.config import Backbone
from src.embedding.models import load_network, pretrained
from src.errors import UserError

ENTRY = models.SqueezeNet1_1_Weights.IMAGENET1K_V1
PUBLISHED = Backbone(name="squeezenet1_1", weights="IMAGENET1K_V1", layer="features")


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder for the downloads of torch.hub."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def plant(hub: Path, content: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a file into the cache whose name has its checksum, as one made for that would."""
    path = hub / "new.pth"
    torch.save(content, path)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(ENTRY.value, "url", f"https://example.org/net-{checksum}.pth")
    return path.rename(hub / f"net-{checksum}.pth")


@pytest.mark.parametrize("variable", [None, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"])
def test_no_code_in_a_planted_file_runs(
    variable: str | None, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = models.squeezenet1_1().state_dict()
    path = plant(hub, state | {"a": Trap(tmp_path / "it ran")}, monkeypatch)
    if variable:
        monkeypatch.setenv(variable, "1")
    before = dict(os.environ)
    with pytest.raises(UserError, match=f"^{path} holds more than weights, which are not loaded$"):
        load_network(PUBLISHED, 0)
    assert not (tmp_path / "it ran").exists()
    assert dict(os.environ) == before


def test_weights_alone_load(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = models.squeezenet1_1().state_dict()
    plant(hub, state, monkeypatch)
    loaded: nn.Module = load_network(PUBLISHED, 0)
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())


def test_a_file_that_was_replaced_is_noticed_at_each_load(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plant(hub, models.squeezenet1_1().state_dict(), monkeypatch)
    load_network(PUBLISHED, 0)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=f"{path} is damaged .its checksum differs"):
        load_network(PUBLISHED, 0)


def test_all_weights_of_torchvision_are_named_by_their_checksum() -> None:
    for name in models.list_models(module=models):
        for entry in models.get_model_weights(name):
            assert re.fullmatch(r"[\w.-]+-[0-9a-f]{8,}", Path(entry.url).stem), entry.url
    assert pretrained(PUBLISHED) is ENTRY
