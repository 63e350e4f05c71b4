"""Runs of several real processes on this machine, launched by Lightning, torchrun and srun."""

import json
import sys

import numpy as np
import pytest
import torch

from src.cli import app
from src.config import Trainer
from src.config.enums import Accelerator
from src.errors import UserError
from src.pipeline.embed import embed
from src.runtime.launch import check_world_size, is_rank_zero, launch
from tests.support.launchers import (
    assert_neighbors,
    by_lightning,
    by_srun,
    by_torchrun,
    by_two_nodes,
    features_of,
    finished,
    options,
    run_alone,
    start,
)


@pytest.mark.parametrize(
    ("launcher", "size"),
    [
        pytest.param(by_lightning, 2, marks=pytest.mark.slow),
        pytest.param(by_torchrun, 3, marks=pytest.mark.slow),
        pytest.param(by_two_nodes, 2, marks=pytest.mark.slow),
        (by_srun, 2),
    ],
)
def test_several_processes_make_one_run_with_the_neighbors_of_one(
    launcher,
    size,
    cfg,
    paintings,
    fork,
    tmp_path,
    installed_srun,
):
    outputs = tmp_path / "many"
    words = options(paintings, outputs, size)
    printed = finished(launcher(fork, "src.run", size, [*words, "similarity=full"]))
    assert printed.count("files in ") == 1 and "srun" not in printed
    assert {path.name for path in outputs.iterdir()} == {"runs", "embeddings", "galleries"}
    assert not list(outputs.rglob("*.part"))
    (folder,) = (outputs / "runs").glob("*/*")
    assert {path.name for path in folder.iterdir()} == {
        *("metrics.json", "neighbors.npz", "top_3_similar.npy", "queries.npz", "paths.yaml"),
        *("neighbors.jpg", "scores.png", "postprocess.npz", ".hydra", "run.log"),
        *("hubs.csv", "near_duplicates.csv"),
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["processes"], metrics["images"]) == (size, 12)
    rows = features_of(outputs)
    assert_neighbors(folder, rows)
    (matrix,) = outputs.glob("embeddings/*/*/*/similarity_scores-whiten-0.5-all.npy")
    assert np.load(matrix).diagonal().tolist() == [1] * 12
    run_alone(cfg, tmp_path / "one")
    np.testing.assert_allclose(features_of(tmp_path / "one"), rows, rtol=1e-6, atol=1e-6)


def test_where_slurm_is_installed_nobody_is_told_to_use_it(
    cfg, gallery, installed_srun, small_squares
):
    assert len(embed(gallery, cfg).features) == 12  # pytest makes a warning an error


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, False),
        ({"LOCAL_RANK": "1", "SLURM_PROCID": "0"}, False),  # set by Lightning in a batch script
        ({"NODE_RANK": "1"}, False),
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "4", "SLURM_LOCALID": "0"}, False),
    ],
)
def test_rank_zero_is_recognized_by_its_environment(environment, expected, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_rank_zero() == expected


@pytest.mark.parametrize(
    ("environment", "trainer", "refused"),
    [
        ({}, Trainer(devices=2), False),
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "4"}, Trainer(devices=2, num_nodes=2), False),
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "4"}, Trainer(), True),
        ({"SLURM_STEP_NUM_TASKS": "2"}, Trainer(devices=4), True),
        ({"SLURM_NTASKS": "4"}, Trainer(), False),  # a batch script, without srun
        ({"SLURM_STEP_NUM_TASKS": "1", "SLURM_JOB_NAME": "bash"}, Trainer(devices=4), False),
    ],
)
def test_a_wrong_number_of_launched_processes_is_an_error(
    environment, trainer, refused, monkeypatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if not refused:
        check_world_size(trainer)
        return
    with pytest.raises(UserError, match=r"\d processes were launched, but trainer.devices=\d"):
        check_world_size(trainer)


def test_a_batch_job_of_several_tasks_needs_srun(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    with pytest.raises(UserError, match="several tasks: start the command with srun"):
        launch(Trainer(accelerator=Accelerator.cpu, devices=4))


def test_an_error_of_lightning_becomes_a_user_error(monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="devices=4 trainer.num_nodes=1: .*--ntasks-per-node"):
        launch(Trainer(accelerator=Accelerator.cpu, devices=4))


def test_a_missing_device_is_an_error_before_processes_start():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="accelerator=gpu: .* finds no such device; use auto"):
        launch(Trainer(accelerator=Accelerator.gpu, devices=2))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["trainer=slurm"], "error: trainer=slurm needs processes launched by srun"),
        (["-m", "trainer.devices=2"], "error: a job of a sweep cannot launch processes: keep"),
    ],
)
def test_an_impossible_launch_is_an_error_of_one_line(asked, message, paintings, tmp_path):
    source = ["data=folder", f"data.images={paintings}", f"outputs={tmp_path / 'o'}"]
    process = start(["-m", "src.run", *asked, *source])
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 2 and message in printed and "Traceback" not in printed


def test_only_rank_zero_creates_a_run_folder(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(sys, "argv", ["src.run"])
    assert app.command(lambda: None) == 0
    assert sys.argv[1:] == app.NON_ZERO_RANK_OVERRIDES
