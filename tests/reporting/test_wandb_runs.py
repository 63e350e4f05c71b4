"""What the environment says of wandb: its mode, its folders, a home that cannot be written."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from src.config import Config, Tracking
from src.config.enums import WandbMode
from src.errors import UserError
from src.reporting import wandb_runs
from src.reporting.tracking import tracking
from src.reporting.wandb_runs import check_wandb, wandb_mode, wandb_run
from src.run import run
from tests.support.commands import ROOT

OFF, OFFLINE, ONLINE = WandbMode.off, WandbMode.offline, WandbMode.online
LOCAL = Tracking(wandb=OFFLINE, tensorboard=False)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("environment", "option", "expected"),
    [
        ({}, ONLINE, ONLINE),
        ({"WANDB_MODE": "disabled"}, ONLINE, OFF),
        ({"WANDB_MODE": "disabled"}, OFFLINE, OFF),
        ({"WANDB_MODE": "offline"}, ONLINE, OFFLINE),
        ({"WANDB_MODE": "dryrun"}, ONLINE, OFFLINE),
        ({"WANDB_MODE": "online"}, OFFLINE, OFFLINE),  # never sends more than the option says
        ({"WANDB_MODE": "run"}, ONLINE, ONLINE),
        ({"WANDB_MODE": ""}, OFFLINE, OFFLINE),
        ({"WANDB_DISABLED": "true"}, ONLINE, OFF),
        ({"WANDB_DISABLED": "1"}, OFFLINE, OFF),
        ({"WANDB_DISABLED": "false"}, OFFLINE, OFFLINE),
        ({"WANDB_DISABLED": ""}, ONLINE, ONLINE),
        ({"WANDB_MODE": "nonsense"}, OFF, OFF),
    ],
)
def test_the_stricter_of_option_and_environment_counts(
    environment: dict[str, str],
    option: WandbMode,
    expected: WandbMode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wandb_mode(Tracking(wandb=option)) is expected


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("WANDB_MODE", "nonsense", "WANDB_MODE=nonsense: choose one of online, offline, disabled"),
        ("WANDB_DATA_DIR", "/proc/x", "WANDB_DATA_DIR=/proc/x cannot be written .*unset it"),
        ("WANDB_CACHE_DIR", "/dev/null/x", "WANDB_CACHE_DIR=/dev/null/x cannot be written"),
    ],
)
def test_a_wrong_environment_is_one_line_before_any_work(
    name: str, value: str, message: str, cfg: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        run(replace(cfg, tracking=LOCAL), Path("no/such"))
    assert not Path(cfg.outputs).exists()
    check_wandb(Tracking(wandb=OFF), Path("no/such"))  # nobody uses them


def test_a_run_folder_that_wandb_cannot_name_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not UTF-8: .* tracking.wandb=off"):
        check_wandb(LOCAL, tmp_path / os.fsdecode(b"caf\xe9"))


def test_disabled_wandb_leaves_nothing(
    cfg: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with tracking(replace(cfg, tracking=LOCAL), tmp_path / "run") as tracker:
        tracker.metrics({"intra": 0.5})
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("fresh_wandb")
def test_a_setting_that_wandb_rejects_is_one_line(
    cfg: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_START_METHOD", "nonsense")
    monkeypatch.setenv("WANDB_X_STATS_SAMPLING_INTERVAL", "nonsense")
    with (
        pytest.raises(UserError, match="wandb rejects its settings in the environment: .*nonsense"),
        tracking(replace(cfg, tracking=LOCAL), tmp_path),
    ):
        pass


PROGRAM = """
import os, sys
from pathlib import Path
from src.config import Config, Tracking
from src.config.data import Folder
from src.config.enums import WandbMode
from src.reporting.tracking import tracking

options = Tracking(wandb=WandbMode.offline, tensorboard=False)
folder, odd = Path(sys.argv[1]), os.fsdecode(b"caf\\xe9")
images = folder / odd
images.mkdir(parents=True)
cfg = Config(data=Folder(images=str(images)), tracking=options)
with tracking(cfg, folder) as tracker:
    tracker.metrics({"intra": 0.5, "weights": odd})
    if sys.argv[2:]:
        os._exit(9)  # as after a kill
"""


@pytest.mark.parametrize("killed", [[], ["killed"]], ids=str)
@pytest.mark.parametrize("home", [None, "/proc", "/dev/null"])
def test_wandb_needs_no_home_and_its_folders_go_with_the_run(
    home: str | None, killed: list[str], tmp_path: Path
) -> None:
    temporary, folder = tmp_path / "temporary", tmp_path / "runs"
    temporary.mkdir()
    kept = {k: v for k, v in os.environ.items() if k != "HOME" and not k.startswith("XDG_")}
    own = {"TMPDIR": str(temporary), "MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), *killed],
        cwd=ROOT,
        env=kept | own | ({"HOME": home} if home else {}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (9 if killed else 0, "")
    assert [path for path in temporary.iterdir() if not path.name.startswith("wandb-")] == []
    assert list(folder.glob("wandb/offline-run-*/*.wandb"))


def test_the_end_of_a_job_counts_where_wandb_has_ended_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = mock.Mock(**{"finish.side_effect": ConnectionResetError("Connection lost")})
    monkeypatch.setattr(wandb_runs, "_start", lambda *_: run)
    with pytest.raises(SystemExit, match="143"), wandb_run(LOCAL, tmp_path, {}, None):
        raise SystemExit(143)
    assert "wandb could not be closed: Connection lost" in caplog.text
    with pytest.raises(ConnectionResetError), wandb_run(LOCAL, tmp_path, {}, None):
        pass
    assert run.finish.mock_calls == [mock.call(exit_code=1), mock.call(exit_code=0)]
