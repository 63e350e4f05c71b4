"""Runs of several real processes on this machine, launched by Lightning, torchrun and srun."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from src.config import Trainer
from src.config.enums import Accelerator
from src.errors import UserError
from src.pipeline.embed import embed
from src.runtime.launch import launch
from tests.support.launchers import (
    SLURM,
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
    assert printed.count("pictures, tables and run.log: ") == 1 and "srun" not in printed
    assert {path.name for path in outputs.iterdir()} == {"runs", "embeddings", "galleries"}
    assert not list(outputs.rglob("*.part"))
    (folder,) = (outputs / "runs").glob("*/*")
    assert {path.name for path in folder.iterdir()} == {
        *("metrics.json", "neighbors.npz", "top_3_similar.npy", "queries.npz", "paths.yaml"),
        *("neighbors.jpg", "scores.png", "postprocess.npz", ".hydra", "run.log"),
        *("hubs.csv", "near_duplicates.csv", "neighbors.csv", "scores.pdf"),
        *("paintings.csv", "map-pca.npy", "results.json"),
        *(["neighbors.parquet", "paintings.parquet"] if find_spec("pyarrow") else []),
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


def test_a_batch_job_of_several_tasks_needs_srun(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    with pytest.raises(UserError, match="several tasks: start the command with srun"):
        launch(Trainer(accelerator=Accelerator.cpu, devices=4))


def test_an_error_of_lightning_becomes_a_user_error(monkeypatch):
    tasks = {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"}
    for name, value in (SLURM | tasks | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}).items():
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
