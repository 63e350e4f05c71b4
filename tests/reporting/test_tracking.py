import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wandb
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from src.config import Config, Tracking
from src.config.enums import Storage, WandbMode
from src.errors import UserError
from src.gallery import Gallery
from src.gallery.folder import folder_gallery
from src.reporting.settings import flat_options
from src.reporting.tracking import track_sweep, tracking
from src.run import run
from tests.support.made_runs import write_multirun
from tests.support.options import changed


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove the key, and any file that could hold one."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def gallery(paintings: Path, tmp_path: Path) -> Gallery:
    return folder_gallery(paintings, None, None, 0, tmp_path / "outputs")


def track(cfg: Config, options: Tracking, folder: Path) -> None:
    """Log a few metrics, a picture and a distribution of a run in folder."""
    folder.mkdir(parents=True)
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
    (text,) = events.Tensors("options/text_summary")[0].tensor_proto.string_val
    assert b"|backbone.name|resnet18|" in text.replace(b" ", b"")
    assert b"backbone.name" in events.PluginTagToContent("hparams")["_hparams_/session_start_info"]


def assert_wandb_has(folder: Path, *expected: bytes) -> None:
    (written,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    deadline = time.monotonic() + 20  # wandb's own process writes the file later
    while not all(word in written.read_bytes() for word in expected):
        assert time.monotonic() < deadline, expected
        time.sleep(0.1)


def test_wandb_offline_needs_no_account(cfg: Config, tmp_path: Path) -> None:
    track(cfg, Tracking(wandb=WandbMode.offline, tensorboard=False), tmp_path / "run")
    assert_wandb_has(tmp_path / "run", b"artist/precision_at_1", b"backbone.name")


def test_runs_of_a_sweep_are_a_group_with_their_leaderboard(cfg: Config, tmp_path: Path) -> None:
    options = Tracking(wandb=WandbMode.offline, tensorboard=False)
    sweep = tmp_path / "2026-11-25" / "10-00-00"
    track(cfg, options, tmp_path / "alone" / "0")
    sweep.mkdir(parents=True)
    (sweep / "multirun.yaml").touch()
    track(cfg, options, sweep / "0")
    table = pd.DataFrame(
        {"run": ["0", "1"], "similarity.whiten_dim": [64, None], "behind": [np.nan, 0.1]}
    )
    track_sweep(table, options, sweep)
    group = b"\x132026-11-25/10-00-00"  # with its length before it, unlike a part of a path
    assert_wandb_has(sweep / "0", group)
    assert_wandb_has(sweep, group, b"leaderboard")
    (alone,) = (tmp_path / "alone" / "0" / "wandb").glob("offline-run-*/*.wandb")
    assert group not in alone.read_bytes()
    (shown,) = sweep.glob("wandb/offline-run-*/files/media/table/*.json")
    result = json.loads(shown.read_text())
    assert result["columns"] == list(table)
    assert result["data"] == [["0", 64.0, None], ["1", None, 0.1]]
    track_sweep(table, Tracking(wandb=WandbMode.off), tmp_path / "off")
    assert not (tmp_path / "off").exists()


def test_the_job_of_a_sweep_is_named_by_the_settings_that_differ(
    cfg: Config, tmp_path: Path
) -> None:
    job = tmp_path / "2026-11-25" / "10-00-00" / "3"
    (job / ".hydra").mkdir(parents=True)
    words = ["backbone.layer=layer1", "similarity.top_k=3"]
    (job / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(words))
    write_multirun(job.parent, {"similarity.top_k": "3,5"}, ["backbone.layer=layer1,layer2"])
    options = Tracking(wandb=WandbMode.offline, tensorboard=False)
    with tracking(replace(cfg, tracking=options), job):
        pass
    name = "3 · layer1 · k=3".encode()
    assert_wandb_has(job, bytes([len(name)]) + name)  # with its length before it


def test_hubs_are_a_table_with_their_images(cfg: Config, gallery: Gallery, tmp_path: Path) -> None:
    odd = b"n\xe9.png".decode("utf-8", "surrogateescape")
    (gallery.root / "ada" / "0.png").rename(gallery.root / odd)
    (gallery.root / "ada" / "1.png").rename(gallery.root / "NA")
    with (tmp_path / "hubs.csv").open("w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"file,neighbor_of\nbea/2.png,7\n{odd},5\nNA,5\n")
    with tracking(replace(cfg, tracking=Tracking()), tmp_path) as tracker:
        tracker.hubs(gallery)
    (shown,) = tmp_path.glob("wandb/offline-run-*/files/media/table/hubs*.json")
    result = json.loads(shown.read_text())
    assert [line[1:] for line in result["data"]] == [
        ["bea/2.png", 7],
        ["n\ufffd.png", 5],
        ["NA", 5],
    ]
    waiting = [path.read_bytes()[:4] for path in tmp_path.glob("wandb/data/artifacts/staging/*")]
    assert waiting.count(b"\x89PNG") == 3  # to be sent with the table
    assert not (tmp_path / ".local").exists()  # of the user's home
    events = EventAccumulator(str(tmp_path)).Reload().Tensors("hubs/text_summary")[0]
    (text,) = events.tensor_proto.string_val
    assert b"|bea/2.png|7|" in text.replace(b" ", b"")


def test_no_tracker_receives_the_matrix(
    embedded: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "run" / "wandb" / "cache"))
    folder = tmp_path / "run"
    folder.mkdir()
    full = changed(embedded, "similarity", storage=Storage.full)
    run(replace(full, tracking=Tracking()), folder)
    kept = [path for path in folder.glob("wandb/**/*") if path.is_file() and not path.is_symlink()]
    assert any(path.suffix == ".wandb" for path in kept)
    assert any("staging" in path.parts for path in kept)  # where artifacts would be, too
    matrix = np.load(folder / yaml.safe_load((folder / "paths.yaml").read_text())["matrix"])
    for path in [*kept, *folder.glob("events.out.tfevents.*")]:
        assert matrix[3].tobytes() not in path.read_bytes(), path


def test_two_runs_in_one_process_are_two_wandb_runs(cfg: Config, tmp_path: Path) -> None:
    for name in ("first", "second"):
        track(cfg, Tracking(wandb=WandbMode.offline, tensorboard=False), tmp_path / name)
        assert len(list((tmp_path / name / "wandb").glob("offline-run-*"))) == 1


def test_wandb_online_without_a_key_is_an_error(cfg: Config, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"tracking=online: No API key.*WANDB_API_KEY.*tracking=local"
    ):
        track(cfg, Tracking(wandb=WandbMode.online), tmp_path / "run")


def test_trackers_that_are_off_write_nothing(cfg: Config, tmp_path: Path) -> None:
    track(cfg, Tracking(wandb=WandbMode.off, tensorboard=False), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["sheet.png"]


def test_trackers_are_closed_when_the_run_fails(cfg: Config, tmp_path: Path) -> None:
    options = Tracking(wandb=WandbMode.offline, tensorboard=False)
    with pytest.raises(ZeroDivisionError), tracking(replace(cfg, tracking=options), tmp_path):
        raise ZeroDivisionError
    assert wandb.run is None


def test_options_are_flat_and_plain(cfg: Config) -> None:
    options = flat_options(cfg)
    assert options["backbone.layer"] == "layer1"
    assert options["similarity.storage"] == "topk"
    assert all(isinstance(value, str | int | float | bool) for value in options.values())
