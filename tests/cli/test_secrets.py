"""Secrets and private options: neither files nor the terminal show them, whatever the command."""

from pathlib import Path

import pytest

from src.config import Config
from src.config.data import Data, Download
from src.errors import UserError
from src.reporting import wandb_runs
from src.reporting.settings import flat_options, tracked_options
from tests.support.commands import command

SECRET = "hunter2"
USER = f"data.tables=https://me:{SECRET}@museum.invalid/data"
TOKEN = f'data.tables="https://museum.invalid/data?token={SECRET}"'


def files_with(text: str, folder: Path) -> set[str]:
    """Return the paths below a folder, relative to it, of files that hold a text."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(f.relative_to(folder)) for f in files if text.encode() in f.read_bytes()}


@pytest.mark.parametrize(
    "words",
    [
        ["src.run", USER],
        ["src.run", TOKEN],
        ["src.run", TOKEN.replace('"', "")],  # which Hydra cannot read
        ["src.run", TOKEN.replace("data.tables", "data.table")],
        ["src.run", USER, "hydra.run.dir={}/mine"],
        ["src.run", USER, "--cfg", "job"],
        ["src.run", "-m", USER + ",https://museum.invalid"],
        ["src.run", "-m", "seed=1,2", TOKEN],
        ["src.run", f"+{USER}"],
        ["src.download", USER],
        ["src.run", f"data.images=https://me:{SECRET}@museum.invalid", "data=folder"],
        ["src.run", f"download.contact=https://me:{SECRET}@museum.invalid"],
    ],
    ids=" ".join,
)
def test_a_secret_is_refused_before_anything_is_written(words: list[str], tmp_path: Path) -> None:
    words = [word.format(tmp_path) for word in words]
    result = command(*words, f"outputs={tmp_path / 'outputs'}")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert "~/.netrc" in result.stderr
    assert result.stderr.count("\n") == 1
    assert SECRET not in result.stdout + result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sweep", [[], ["-m", "seed=1,2"]], ids=" ".join)
def test_a_secret_in_the_address_of_a_manifest_is_refused(sweep: list[str], tmp_path: Path) -> None:
    address = f'data.manifest="https://museum.invalid/m.json?token={SECRET}"'
    result = command("src.run", *sweep, "data=iiif", address, f"outputs={tmp_path / 'outputs'}")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "save the collection or manifest as a file and give that" in result.stderr
    assert SECRET not in result.stdout + result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sweep", [[], ["-m"], ["-m", "seed=1,2"]], ids=" ".join)
@pytest.mark.parametrize("where", ["options", "sweep"])
def test_a_secret_in_a_file_of_options_is_refused_too(
    where: str, sweep: list[str], tmp_path: Path
) -> None:
    name, _, value = USER.partition("=")
    texts = {
        "options": f"data:\n  tables: {value}\n",
        "sweep": f"hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      {name}: {value},x\n",
    }
    file = tmp_path / "configs" / "experiment" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"# @package _global_\n{texts[where]}")
    words = (f"--config-dir={tmp_path / 'configs'}", "experiment=mine", *sweep)
    result = command("src.run", *words, f"outputs={tmp_path / 'outputs'}")
    assert result.returncode == 2
    assert "~/.netrc" in result.stderr
    assert SECRET not in result.stdout + result.stderr
    assert not (tmp_path / "outputs").exists()


def test_trackers_do_not_get_the_contact() -> None:
    cfg = Config(data=Data(), download=Download(contact="me@museum.invalid"))
    private = flat_options(cfg).items() - tracked_options(cfg).items()
    assert private == {("download.contact", "me@museum.invalid")}


@pytest.mark.parametrize(
    ("name", "value"),
    [("WANDB_BASE_URL", f"https://me:{SECRET}@mu seum/"), ("WANDB_API_KEY", f"a {SECRET}")],
)
def test_an_error_of_wandb_shows_no_secret_of_the_environment(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    text = wandb_runs._public(f"1 validation error: {name} [input_value='{value}', input_type=str]")
    assert SECRET not in text
    assert "***" in text


@pytest.mark.usefixtures("fresh_wandb")
def test_wandb_rejects_an_address_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", f"https://me:{SECRET}@mu seum/")
    options = Config(data=Data()).tracking
    with (
        pytest.raises(UserError, match="wandb rejects its settings in the environment") as caught,
        wandb_runs.wandb_run(options, tmp_path, {}, None),
    ):
        pass
    assert SECRET not in str(caught.value)


@pytest.mark.slow
def test_contact_keys_and_passwords_reach_no_tracker(
    paintings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs of a sweep differ in the contact, which its leaderboard on disk may say."""
    monkeypatch.setenv("WANDB_API_KEY", f"{SECRET}key" + 30 * "k")
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}proxy@127.0.0.1:1")
    result = command(
        *("src.run", "-m", "data=folder", f"data.images={paintings}", f"outputs={tmp_path}"),
        *("backbone.name=resnet18", "backbone.weights=random", "backbone.layer=layer1"),
        *("similarity.top_k=3", f"download.contact={SECRET}@a.invalid,{SECRET}@b.invalid"),
    )
    assert result.returncode == 0, result.stderr
    assert not files_with(f"{SECRET}key", tmp_path) | files_with(f"{SECRET}proxy", tmp_path)
    holders = files_with(SECRET, tmp_path)
    assert any(name.endswith(".hydra/overrides.yaml") for name in holders)
    assert [name for name in holders if "wandb" in name or "tfevents" in name] == []
