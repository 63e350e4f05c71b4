import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import wandb
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from src.checks import UserError
from src.choices import WandbMode
from src.config import Config, Tracking
from src.track import flat, tracking


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, and no file that could hold one."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def track(cfg: Config, options: Tracking, folder: Path) -> None:
    folder.mkdir()
    Image.new("RGB", (4, 3), "red").save(folder / "sheet.png")
    with tracking(replace(cfg, tracking=options), folder) as tracker:
        tracker.metrics({"intra": 0.5, "weights": "random", "artist/precision_at_1": 0.25})
        tracker.pictures({"neighbors": folder / "sheet.png"})
        tracker.distributions({"neighbor_scores": np.array([0.1, 0.9], np.float32)})


def test_tensorboard_holds_metrics_pictures_options(cfg: Config, tmp_path: Path) -> None:
    track(cfg, Tracking(wandb=WandbMode.off), tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    assert events.Scalars("artist/precision_at_1")[0].value == 0.25
    assert events.Images("neighbors")[0].width == 4
    assert events.Tags()["histograms"] == ["neighbor_scores"]
    assert (
        b"|backbone.name|resnet18|"
        in events.Tensors("options/text_summary")[0].tensor_proto.string_val[0]
    )
    assert b"backbone.name" in events.PluginTagToContent("hparams")["_hparams_/session_start_info"]


def test_wandb_offline_needs_no_account(cfg: Config, tmp_path: Path) -> None:
    track(cfg, Tracking(wandb=WandbMode.offline, tensorboard=False), tmp_path / "run")
    (written,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    wanted = (b"artist/precision_at_1", b"backbone.name")
    patience = time.monotonic() + 20  # wandb's own process writes the file, when it comes to it
    while not all(word in written.read_bytes() for word in wanted):
        assert time.monotonic() < patience
        time.sleep(0.1)


def test_two_runs_in_one_process_are_two_wandb_runs(cfg: Config, tmp_path: Path) -> None:
    for name in ("first", "second"):
        track(cfg, Tracking(wandb=WandbMode.offline, tensorboard=False), tmp_path / name)
        assert len(list((tmp_path / name / "wandb").glob("offline-run-*"))) == 1


def test_wandb_online_without_a_key_says_so(cfg: Config, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"tracking=online: No API key.*WANDB_API_KEY.*tracking=local"
    ):
        track(cfg, Tracking(wandb=WandbMode.online), tmp_path / "run")


def test_off_writes_nothing(cfg: Config, tmp_path: Path) -> None:
    track(cfg, Tracking(wandb=WandbMode.off, tensorboard=False), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["sheet.png"]


def test_trackers_are_closed_when_the_run_fails(cfg: Config, tmp_path: Path) -> None:
    options = Tracking(wandb=WandbMode.offline, tensorboard=False)
    with pytest.raises(ZeroDivisionError), tracking(replace(cfg, tracking=options), tmp_path):
        raise ZeroDivisionError
    assert wandb.run is None


def test_options_are_flat_and_plain(cfg: Config) -> None:
    options = dict(flat(cfg))
    assert options["backbone.layer"] == "layer1"
    assert options["similarity.storage"] == "topk"
    assert all(isinstance(value, str | int | float | bool) for value in options.values())
