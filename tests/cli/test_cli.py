"""The command line: real configs, and a process of its own where that matters."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from src.cli import app, help, messages
from src.cli.sweep_callback import current_sweep
from src.config import Config
from src.config.data import Demo, Nga
from src.config.enums import Storage, WandbMode
from src.downloader.client import PoliteClient
from src.gallery import museum
from tests.support.commands import ROOT, CommandResult, command, restored_process_state
from tests.support.hosts import QUICK


def run(*words: str) -> CommandResult:
    """Run src.run in this process."""
    return command("src.run", *words)


def run_process(*words: str) -> subprocess.CompletedProcess[str]:
    """Run src.run in a process of its own."""
    command_line = [sys.executable, "-m", "src.run", *words]
    return subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, timeout=60)


def cpu_seconds_of_children() -> float:
    """Return the CPU time of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compose_config(*overrides: str) -> Config:
    """Return the options that Hydra composes from configs/ and the overrides."""
    app.register()
    with initialize_config_dir(str(help.CONFIGS), version_base="1.3"):
        cfg = OmegaConf.to_object(compose("run", list(overrides)))
    assert isinstance(cfg, Config)
    return cfg


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["similarity.top_k=ten"], "similarity.top_k: Value 'ten' of type 'str'"),
        (["similarity.storage=disk"], "expected one of [topk, full]"),
        (
            ["similarity.topk=3"],
            "no option similarity.topk; did you mean similarity.top_k?",
        ),
        (
            ["similrity.top_k=3"],
            "no option similrity.top_k; did you mean similarity.top_k?",
        ),
        (["similarity.top_k=0"], "similarity.top_k must be at least 1, got 0"),
        (["data=museum"], "data=museum: choose one of demo, features, folder, iiif, nga"),
        (
            ["experiment=demmo"],
            "experiment=demmo: choose one of demo, layers, postprocess, quality",
        ),
        (["data=folder"], "data.images is required"),
        (["data=folder", "data.images=no/such"], "data.images=no/such does not exist"),
        (["data.features=x"], "data.features is an option of data=features: add data=features"),
        (["data.images=x"], "of data=folder or data=features: add one of them"),
        (["data=folder", "data.view=all"], "of data=nga or data=iiif: add one of them"),
        (["-m", "data=folder,features", "data.images=x"], "or data=features: add one of them"),
        (["evaluation.labels=artist"], "evaluation.labels takes a list: evaluation.labels=[a,b]"),
        (["data.tables=no/such"], "data.tables=no/such is neither a folder nor an http(s) URL"),
        (["data.classification=''"], "data.classification must be a kind of object or all"),
        (["download.workers=0"], "download.workers must be between 1 and 64, got 0"),
        (["download.requests_per_second=-1"], "must be between 0 and 10000, got -1"),
        (["download.max_failed=5"], "download.max_failed must be between 0 and 1, got 5"),
        (['download.contact="é"'], "download.contact must be plain ASCII"),
        (["backbone.name=resnet5"], "backbone.name=resnet5 is not a torchvision classification"),
        (["trainer.precision=33"], "expected one of [32-true, 16-mixed, bf16-mixed]"),
        (["+extra=1"], "+extra=1: set options with name=value"),
        (["~seed"], "~seed: set options with name=value"),
        (["nonsense"], "cannot read nonsense: write name=value"),
        (["data.images=a=b"], "quoted like this: 'data.images=\"a=b\"'"),
        (["data.images=a,b"], "quoted like this: 'data.images=\"a,b\"'"),
        (["data.images=Künstler"], "quoted like this: 'data.images=\"Künstler\"'"),
        (["data=folder", 'data.images="Künstler (1), 2=3"'], "=Künstler (1), 2=3 does not exist"),
    ],
)
def test_a_wrong_option_is_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    result = run(*words, f"outputs={tmp_path}")
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)


def test_a_wrong_option_ends_the_process_at_once(tmp_path: Path) -> None:
    before = cpu_seconds_of_children()
    result = run_process("similarity.topk=3", f"outputs={tmp_path}")
    assert cpu_seconds_of_children() - before < 2  # CPU time, as other programs may be busy
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("error: there is no option similarity.topk; did you mean ")


def test_a_wrong_option_is_an_error_before_torch_is_imported(tmp_path: Path) -> None:
    words = ["-X", "importtime", "-m", "src.run", "data=folder", f"outputs={tmp_path}"]
    result = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    assert "error: data.images is required" in result.stderr
    assert " torch\n" not in result.stderr and " hydra\n" in result.stderr


def test_a_sweep_prints_the_error_of_a_job_that_fails(tmp_path: Path) -> None:
    result = run(
        "-m", "similarity.top_k=0,1", "data=folder", "data.images=x", f"outputs={tmp_path}"
    )
    assert result.returncode != 0
    assert "data.images=x does not exist" in result.stderr
    assert "Traceback" not in result.stderr
    assert current_sweep.get(None) is None  # the next command of this process is no sweep


def test_if_the_museum_is_unreachable_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        museum, "PoliteClient", lambda *options: PoliteClient(*options, retry_policy=QUICK)
    )
    result = run("data.tables=http://museum.invalid/data", f"outputs={tmp_path}")
    assert result.returncode == 2
    assert "http://museum.invalid/data/published_images.csv: " in result.stderr
    assert "experiment=demo" in result.stderr
    assert "data=folder data.images=..." in result.stderr
    assert result.stderr.splitlines()[0] == "tables: downloading from http://museum.invalid/data"
    assert result.stderr.count("\n") == 2


def test_help_lists_every_option() -> None:
    page = run_process("--help").stdout
    assert "similarity.top_k = 10    [int, at least 1]\n      neighbors to store per image" in page
    assert "data.images = required    [str]\n      data=folder: folder of images" in page
    assert all(f"  {option.name} = " in page for option in help.options(Config))
    assert all(f"  {option.name} = " in page for option in help.source_options())


def test_cfg_job_prints_the_composed_options() -> None:
    page = run("--cfg", "job", "similarity.top_k=7").stdout
    assert "similarity:\n  storage: topk\n  top_k: 7\n" in page


def test_there_is_a_launcher_for_slurm() -> None:
    page = run("hydra/launcher=slurm", "--cfg", "hydra", "--package", "hydra.launcher").stdout
    assert ".SlurmLauncher\n" in page and "gpus_per_node: 1\n" in page


def test_defaults_are_the_national_gallery_by_resnet50() -> None:
    cfg = compose_config()
    assert isinstance(cfg.data, Nga)
    backbone = cfg.backbone
    assert (backbone.name, backbone.weights[:10], backbone.layer) == (
        "resnet50",
        "IMAGENET1K",
        "avgpool",
    )
    assert (cfg.similarity.top_k, cfg.similarity.storage) == (10, Storage.topk)
    assert (cfg.tracking.wandb, cfg.tracking.tensorboard) == (WandbMode.offline, True)


def test_experiment_seed_has_the_options_of_the_first_version() -> None:
    cfg = compose_config("experiment=seed")
    assert (cfg.data.max_side, cfg.data.resize.name) == (200, "squash")
    assert (cfg.backbone.weights, cfg.backbone.layer) == ("IMAGENET1K_V1", "avgpool")
    assert cfg.similarity.storage is Storage.full
    assert (cfg.similarity.dtype.name, cfg.similarity.top_k) == ("float32", 10)


@pytest.mark.parametrize("path", sorted(help.CONFIGS.glob("*/*.yaml")), ids=str)
def test_every_config_file_composes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "4")
    monkeypatch.setenv("SLURM_NNODES", "2")
    choice = f"{path.parent.name}={path.stem}"
    needed = {
        "data=folder": ["data.images=tests"],
        "data=iiif": ["data.manifest=https://a.org/m"],
        "data=features": [f"data.features={__file__}"],
        "backbone=vectors": ["data=features", f"data.features={__file__}"],
    }
    assert compose_config(choice, *needed.get(choice, [])).similarity.top_k >= 1


def test_trainer_slurm_reads_the_world_size_from_slurm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "4")
    monkeypatch.setenv("SLURM_NNODES", "2")
    trainer = compose_config("trainer=slurm").trainer
    assert (trainer.devices, trainer.num_nodes, trainer.world_size) == (4, 2, 8)


def test_experiment_demo_takes_random_weights() -> None:
    cfg = compose_config("experiment=demo")
    assert isinstance(cfg.data, Demo)
    assert cfg.backbone.weights == "random"


def test_a_bug_keeps_its_traceback() -> None:
    assert messages.user_message(ZeroDivisionError("bug")) is None


def test_only_a_user_error_sets_the_exit_code() -> None:
    def fail() -> None:
        error = OSError(28, "No space left on device")
        error.code = 404  # type: ignore[attr-defined]  # as an HTTPError has
        raise error

    with restored_process_state():
        assert app.command(fail) == 2


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (OSError(28, "No space left on device"), "the disk is full"),
        (OSError("240 requested and 76 written"), "the disk is full"),  # as numpy says it
        (OSError(30, "Read-only file system", "runs/x"), "cannot write runs/x (Read-only file"),
        (OSError(27, "File too large"), "cannot write a file (File too large)"),  # of write()
        (NotADirectoryError(20, "Not a directory", "x"), "cannot write x (Not a directory)"),
    ],
)
def test_an_error_of_the_file_system_is_one_line(error: OSError, start: str) -> None:
    text = messages.user_message(error)
    assert text is not None
    assert text.startswith(start)


def test_a_missing_file_of_the_program_is_a_bug() -> None:
    assert messages.user_message(FileNotFoundError(2, "No such file")) is None


def test_outputs_below_a_file_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("data=folder", "data.images=tests", f"outputs={tmp_path}/file")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "choose another outputs=<folder>" in result.stderr
