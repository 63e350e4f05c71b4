import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.leaderboard.__main__ import main
from src.leaderboard.comparison import compare
from src.leaderboard.runs import read_runs
from tests.conftest import make_squares_small
from tests.support.commands import ROOT, CommandResult, command
from tests.support.made_runs import N, random_neighbors, update_metrics, write_multirun, write_run


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Write three runs, the second one the best, and one that failed."""
    folder = tmp_path / "outputs" / "sweeps" / "2026-11-25" / "10-00-00"
    draw = np.random.default_rng(0)
    base, index = draw.random(N), random_neighbors(draw)
    base[:20] = np.nan
    for number, (layer, more) in enumerate([("layer2", 0), ("layer3", 0.25), ("layer4", 0.2)]):
        precision = base + more + (number == 2) * draw.normal(0, 0.01, N)
        write_run(
            folder / str(number), precision, (index + number // 2) % N, backbone={"layer": layer}
        )
    failed = folder / "10"
    write_run(failed, base, index, backbone={"layer": "layr4 x"})
    (failed / "metrics.json").unlink()
    (failed / "run.log").write_text(
        "[2026-11-25 10:00:30,001][src.embedding.extraction][INFO] - embedding: 3 images\n"
        "[2026-11-25 10:00:31,562][src.cli.app][ERROR] - error: layr4 is no node\n"
    )
    return folder


def test_the_best_is_first_and_the_others_are_behind_it(sweep, capsys):
    assert main([str(sweep)]) == 1
    table = pd.read_csv(sweep / "leaderboard.csv", dtype={"run": str})
    assert list(table["run"]) == ["1", "2", "0"]
    assert list(table.columns[:4]) == ["board", "run", "mark", "backbone.layer"]
    assert "similarity.top_k" not in table  # the same in all
    assert table["behind"].tolist()[1:] == pytest.approx([0.05, 0.25], abs=0.002)
    assert np.isnan(table["behind"][0])
    for line in (1, 2):
        assert table["behind_low"][line] <= table["behind"][line] <= table["behind_high"][line]
    # paired: all queries are apart by the same
    assert table["behind_high"][2] - table["behind_low"][2] < 1e-6
    printed = capsys.readouterr().out
    assert "3 runs by artist/map_at_10, best first" in printed
    assert "0.250 [0.250, 0.250]" in printed
    assert "Jaccard" not in printed  # one table; the rest is in the files
    text = (sweep / "leaderboard.md").read_text()
    assert "0.250 [0.250, 0.250]" in text and "Jaccard" in text


def test_failed_runs_are_named_with_the_command_that_runs_them_again(sweep, capsys):
    main([str(sweep)])
    printed = capsys.readouterr().out
    assert "incomplete: 1 of 4" in printed
    assert "    10: layr4 is no node\n" in printed
    again = f"hydra.mode=RUN hydra.run.dir={os.path.relpath(sweep / '10')}"
    assert f"    python -m src.run 'backbone.layer=layr4 x' {again}\n" in printed


def test_jobs_that_were_never_started_are_named_with_their_commands(sweep, capsys):
    params = {"backbone.layer": "layer2,layer3,layer4", "similarity.top_k": "1,2,3,4"}
    task = ["data.images='a b'", "similarity.top_k=4,5,6,7"]
    write_multirun(sweep, params, task)
    assert main([str(sweep)]) == 1
    printed = capsys.readouterr().out
    assert "3 runs by artist/map_at_10" in printed and "incomplete: 9 of 12" in printed
    assert "    11: not started\n" in printed and "    10: layr4 is no" in printed
    again = f"hydra.mode=RUN hydra.run.dir={os.path.relpath(sweep / '11')}"
    words = """backbone.layer=layer4 similarity.top_k=7 'data.images='"'"'a b'"'"''"""
    assert f"    python -m src.run {words} {again}\n" in printed
    write_multirun(sweep, params, task, _target_="hydra_plugins.hydra_optuna_sweeper.OptunaSweeper")
    main([str(sweep)])
    assert "incomplete: 1 of 4" in capsys.readouterr().out


def test_a_sweep_that_was_killed_before_its_first_job(tmp_path, capsys):
    write_multirun(tmp_path, None, ["seed=1,2"])
    assert main([str(tmp_path)]) == 1
    assert "seed=2 hydra.mode=RUN" in capsys.readouterr().out
    assert not (tmp_path / "leaderboard.html").exists()


def test_only_failed_runs(sweep, capsys):
    for path in sweep.glob("*/metrics.json"):
        path.unlink()
    assert main([str(sweep)]) == 1
    printed = capsys.readouterr().out
    assert "    0: interrupted or still running\n" in printed
    assert not (sweep / "leaderboard.csv").exists()


def test_a_metric_that_is_better_when_lower_is_sorted_upward(sweep):
    for number, inter in enumerate([0.3, 0.1, 0.2]):
        update_metrics(sweep / str(number), inter=inter)
    main([str(sweep), "--sort", "inter"])
    table = pd.read_csv(sweep / "leaderboard.csv")
    assert table["run"].tolist() == [1, 2, 0]
    assert table["behind"].tolist()[1:] == pytest.approx([0.1, 0.2])


def test_the_newest_sweep_is_taken(sweep, capsys):
    outputs = sweep.parents[2]
    (outputs / "sweeps" / "2026-11-24" / "23-00-00").mkdir(parents=True)
    (outputs / "sweeps" / "2026-11-25" / "leaderboard.md").touch()  # of a whole day
    assert main(["--outputs", str(outputs), "--sort", "inter"]) == 1
    assert "3 runs by inter, best first" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}/nothing"], "error: there are no runs in {}/nothing\n"),
        (["--outputs", "{}/nothing"], "error: there is no sweep in {}/nothing: give folders of"),
        (
            ["{}", "--sort", "artist/map"],
            "error: --sort artist/map: no run has that metric; did you mean",
        ),
        (["{}", "--sort", "device"], "error: --sort device: no run has that metric"),
        (["{}", "{}/typo"], "error: there are no runs in {}/typo\n"),
    ],
)
def test_arguments_that_cannot_be_compared_are_errors(arguments, message, sweep, capsys):
    assert main([argument.format(sweep) for argument in arguments]) == 2
    assert capsys.readouterr().err.startswith(message.format(sweep))


def test_without_the_same_queries_there_is_no_difference(sweep, capsys):
    with np.load(sweep / "0" / "queries.npz") as queries:
        precision = queries["artist/map_at_10"].copy()
    precision[50] = np.nan
    np.savez(sweep / "0" / "queries.npz", **{"artist/map_at_10": precision})
    main([str(sweep)])
    table = pd.read_csv(sweep / "leaderboard.csv")
    assert table["behind"].notna().tolist() == [False, True, False]
    assert table["behind_low"].notna().tolist() == [False, True, False]
    printed = " ".join(capsys.readouterr().out.split())
    assert "for runs with other queries: 180 in the best run, 179 in 0" in printed


def test_overlap_is_the_mean_jaccard_index(sweep):
    (board,) = compare(read_runs([sweep]), None).boards
    overlap, lists = board.overlap, [run.files.neighbors()[0] for run in board.runs]
    assert board.names == ["1", "2", "0"]
    for a in range(3):
        for b in range(3):
            indices = [
                len(set(x) & set(y)) / len(set(x) | set(y))
                for x, y in zip(lists[a], lists[b], strict=True)
            ]
            assert overlap[a, b] == pytest.approx(np.mean(indices))
    assert overlap[0, 2] == 1 and overlap[0, 1] < 0.1


def test_jobs_are_read_in_the_order_of_their_numbers(sweep):
    assert [run.folder.name for run in read_runs([sweep])] == ["0", "1", "2", "10"]


JOBLIB = ["hydra.launcher.n_jobs=1", "tracking=local"]  # one worker for all jobs


def assert_compared(ended: Any, outputs: Path) -> Path:
    """Check how a sweep ended whose second job of three has failed; return its folder."""
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    (sweep,) = (outputs / "sweeps").glob("*/*")
    table = pd.read_csv(sweep / "leaderboard.csv")
    assert set(table["run"]) == {0, 2} and set(table["backbone.layer"]) == {"layer1", "layer2"}
    (metric,) = {name for name in table if name in ("artist/map_at_10", "folder/map_at_10")}
    assert table[metric].is_monotonic_decreasing
    text = (sweep / "leaderboard.md").read_text()
    for written in (text, ended.stdout):
        assert "    1: backbone.layer or layers: layr9 is not a node of ResNet" in written
    return sweep


def words(paintings: Path, outputs: Path) -> list[str]:
    """Ask for a sweep of three jobs, the second of which fails."""
    words = ["-m", "backbone.layer=layer1,layr9,layer2", "backbone.layers=[layer1,layer2]"]
    words += ["data=folder", f"data.images={paintings}", f"outputs={outputs}"]
    words += ["backbone.name=resnet18", "backbone.weights=random", "tracking=off"]
    words += ["evaluation.halves=true", "trainer.accelerator=cpu"]
    return [*words, "similarity.top_k=3", "evaluation.resamples=20"]


@pytest.fixture(scope="module")
def swept(
    shared_paintings: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CommandResult, Path]:
    """Run the sweep; return the result of the command and its outputs."""
    outputs = tmp_path_factory.mktemp("swept") / "outputs"
    with pytest.MonkeyPatch.context() as replaced:
        make_squares_small(replaced)
        return command("src.run", *words(shared_paintings, outputs)), outputs


def test_a_sweep_ends_with_its_leaderboard_though_a_job_has_failed(swept):
    ended, outputs = swept
    assert_compared(ended, outputs)
    lines = [line.split(" ") for line in ended.stdout.splitlines()]
    jobs = {words[0]: words[1:] for words in lines if words[0] in ("0:", "2:")}
    assert [words[0] for words in jobs.values()] == [f"backbone.layer=layer{n}" for n in (1, 2)]
    assert all("folder/map_at_10" in words for words in jobs.values())
    assert "0: backbone.layer=layer1  folder" in ended.stdout  # what all jobs share is left out
    printed = " ".join(ended.stdout.split())
    assert "half A has 2 classes and 8 queries, half B has 1 class and 4 queries" in printed
    assert "chosen on half A: " in printed and "chosen on half B: " in printed
    assert sum(words != [""] for words in lines) < 25  # a line a job, a table, one failure
    assert "loading PyTorch" not in ended.stderr  # messages of the jobs are in their logs
    assert "loading PyTorch" in next(outputs.glob("sweeps/*/*/0/run.log")).read_text()


@pytest.mark.usefixtures("small_squares")
def test_the_printed_command_runs_a_failed_job_again(swept):
    ended, outputs = swept
    (sweep,) = (outputs / "sweeps").glob("*/*")
    (line,) = (line.strip() for line in ended.stdout.splitlines() if line.startswith("    python "))
    _, _, module, *again = shlex.split(line)
    assert "backbone.layer=layr9" in again
    mended = [word.replace("layr9", "layer1+layer2") for word in again]
    assert command(module, *mended).returncode == 0
    assert main([str(sweep)]) == 0
    table = pd.read_csv(sweep / "leaderboard.csv")
    assert set(table["backbone.layer"]) == {"layer1", "layer2", "layer1+layer2"}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_sweep_of_several_processes_ends_with_its_leaderboard(launcher, paintings, tmp_path):
    asked = [*words(paintings, tmp_path / "outputs"), f"hydra/launcher={launcher}"]
    asked += JOBLIB if launcher == "joblib" else []
    ended = subprocess.run(
        [sys.executable, "-m", "src.run", *asked], cwd=ROOT, capture_output=True, text=True
    )
    sweep = assert_compared(ended, tmp_path / "outputs")
    if launcher == "joblib":  # trackers are closed after each job, else the second one joins them
        for job in ("0", "2"):
            assert len(list((sweep / job).glob("wandb/offline-run-*"))) == 1
            assert len(list((sweep / job).glob("events.out.tfevents.*"))) == 1
