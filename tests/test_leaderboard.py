import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from src.board import overlap
from src.leaderboard import main
from src.runs import read

ROOT = Path(__file__).resolve().parent.parent
N, K = 200, 4
DRAW = np.random.default_rng(0)


def a_run(folder: Path, right: np.ndarray, index: np.ndarray, **settings: Any) -> None:
    """What a run leaves, with the query metric artist/map_at_10 (n,)."""
    (folder / ".hydra").mkdir(parents=True)
    options = {"backbone": {"layer": "layer4"}, "similarity": {"top_k": 4}} | settings
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(options))
    layer = options["backbone"]["layer"]
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump([f"backbone.layer={layer}"]))
    mean = float(np.nanmean(right))
    metrics = {"images": N, "intra": 0.5, "inter": 0.25, "artist/map_at_10": mean}
    metrics |= {"artist/map_at_10_low": mean - 0.01, "artist/map_at_10_high": mean + 0.01}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "paths.yaml").write_text(yaml.safe_dump({"gallery": "../../galleries/g"}))
    np.savez(folder / "queries.npz", **{"artist/map_at_10": right})
    np.savez(folder / "neighbors.npz", index=index)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Three runs and one that failed, the second one the best."""
    folder = tmp_path / "outputs" / "sweeps" / "2026-11-25" / "10-00-00"
    base = DRAW.random(N)
    index = DRAW.random((N, N)).argsort(axis=1)[:, :K].astype(np.int32)
    base[:20] = np.nan
    for number, (layer, more) in enumerate([("layer2", 0), ("layer3", 0.25), ("layer4", 0.2)]):
        right = base + more + (number == 2) * DRAW.normal(0, 0.01, N)
        a_run(folder / str(number), right, (index + number // 2) % N, backbone={"layer": layer})
    failed = folder / "10"
    a_run(failed, base, index, backbone={"layer": "layr4 x"})
    (failed / "metrics.json").unlink()
    (failed / "run.log").write_text(
        "[2026-11-25 10:00:30,001][src.one_pass][INFO] - embedding: 3 images\n"
        "[2026-11-25 10:00:31,562][src.cli][ERROR] - error: layr4 is no node\n"
    )
    return folder


def test_the_best_is_first_and_the_others_are_behind_it(sweep, capsys):
    assert main([str(sweep)]) == 1
    found = pd.read_csv(sweep / "leaderboard.csv", dtype={"run": str})
    assert list(found["run"]) == ["1", "2", "0"]
    assert list(found.columns[:2]) == ["run", "backbone.layer"]
    assert "similarity.top_k" not in found  # the same in all
    assert found["behind"].tolist()[1:] == pytest.approx([0.05, 0.25], abs=0.002)
    assert np.isnan(found["behind"][0])
    for line in (1, 2):
        assert found["behind_low"][line] <= found["behind"][line] <= found["behind_high"][line]
    # paired: all queries are apart by the same
    assert found["behind_high"][2] - found["behind_low"][2] < 1e-6
    printed = capsys.readouterr().out
    assert "3 runs by artist/map_at_10, best first" in printed
    assert "0.250 [0.250, 0.250]" in printed
    assert printed.startswith((sweep / "leaderboard.md").read_text())


def test_failed_runs_are_named_with_the_command_that_runs_them_again(sweep, capsys):
    main([str(sweep)])
    printed = capsys.readouterr().out
    assert "not ended: 1 of 4" in printed
    assert "    10: layr4 is no node\n" in printed
    again = f"hydra.mode=RUN hydra.run.dir={os.path.relpath(sweep / '10')}"
    assert f"    python -m src.run 'backbone.layer=layr4 x' {again}\n" in printed


def test_only_failed_runs(sweep, capsys):
    for path in sweep.glob("*/metrics.json"):
        path.unlink()
    assert main([str(sweep)]) == 1
    printed = capsys.readouterr().out
    assert "    0: it was stopped, or runs still\n" in printed
    assert not (sweep / "leaderboard.csv").exists()


def test_what_is_better_when_lower_is_sorted_so(sweep):
    for number, inter in enumerate([0.3, 0.1, 0.2]):
        path = sweep / str(number) / "metrics.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"inter": inter}))
    main([str(sweep), "--sort", "inter"])
    found = pd.read_csv(sweep / "leaderboard.csv")
    assert found["run"].tolist() == [1, 2, 0]
    assert found["behind"].tolist()[1:] == pytest.approx([0.1, 0.2])


def test_the_newest_sweep_is_taken(sweep, capsys):
    outputs = sweep.parents[2]
    (outputs / "sweeps" / "2026-11-24" / "23-00-00").mkdir(parents=True)
    assert main(["--outputs", str(outputs), "--sort", "inter"]) == 1
    assert "3 runs by inter, best first" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}/nothing"], "error: there are no runs in {}/nothing\n"),
        (["--outputs", "{}/nothing"], "error: there is no sweep in {}/nothing: name folders of"),
        (["{}", "--sort", "artist/map"], "error: --sort artist/map: no run has that metric; near"),
    ],
)
def test_what_cannot_be_compared_is_said(arguments, message, sweep, capsys):
    assert main([argument.format(sweep) for argument in arguments]) == 2
    assert capsys.readouterr().err.startswith(message.format(sweep))


def test_without_the_same_queries_there_is_no_interval(sweep):
    with np.load(sweep / "0" / "queries.npz") as queries:
        right = queries["artist/map_at_10"].copy()
    right[50] = np.nan
    np.savez(sweep / "0" / "queries.npz", **{"artist/map_at_10": right})
    (sweep / "2" / "paths.yaml").write_text(yaml.safe_dump({"gallery": "../galleries/other"}))
    main([str(sweep)])
    found = pd.read_csv(sweep / "leaderboard.csv")
    assert found["behind"].notna().tolist() == [False, True, True]
    assert "behind_low" not in found


def test_overlap_is_the_mean_jaccard_index(sweep):
    runs = [run for run in read([sweep]) if not run.error]
    found, lists = overlap(runs), [run.neighbors() for run in runs]
    for a in range(3):
        for b in range(3):
            each = [
                len(set(x) & set(y)) / len(set(x) | set(y))
                for x, y in zip(lists[a], lists[b], strict=True)
            ]
            assert found.iloc[a, b] == pytest.approx(np.mean(each))
    assert found.iloc[0, 1] == 1 and found.iloc[0, 2] < 0.1


def test_jobs_are_read_in_the_order_of_their_numbers(sweep):
    assert [run.folder.name for run in read([sweep])] == ["0", "1", "2", "10"]


def test_it_starts_without_torch(sweep):
    program = "import sys, src.leaderboard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_sweep_ends_with_its_leaderboard_though_a_job_has_failed(paintings, tmp_path):
    words = ["-m", "backbone.layer=layer1,layr9,layer2", "backbone.layers=[layer1,layer2]"]
    words += ["data=folder", f"data.images={paintings}", f"outputs={tmp_path / 'outputs'}"]
    words += ["backbone.name=resnet18", "backbone.weights=random", "tracking=off"]
    words += ["similarity.top_k=3", "evaluation.resamples=20", "trainer.accelerator=cpu"]
    ended = subprocess.run(
        [sys.executable, "-m", "src.run", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    (sweep,) = (tmp_path / "outputs" / "sweeps").glob("*/*")
    found = pd.read_csv(sweep / "leaderboard.csv")
    assert set(found["run"]) == {0, 2} and set(found["backbone.layer"]) == {"layer1", "layer2"}
    assert found["artist/map_at_10"].is_monotonic_decreasing
    text = (sweep / "leaderboard.md").read_text()
    assert text in ended.stdout
    assert "    1: backbone.layer or layers: layr9 is not a node of ResNet" in text
    (command,) = (line.strip() for line in text.splitlines() if line.startswith("    python "))
    _, *again = shlex.split(command)
    assert "backbone.layer=layr9" in again
    mended = [word.replace("layr9", "layer1+layer2") for word in again]
    subprocess.run([sys.executable, *mended], cwd=ROOT, check=True, capture_output=True)
    assert main([str(sweep)]) == 0
    found = pd.read_csv(sweep / "leaderboard.csv")
    assert set(found["backbone.layer"]) == {"layer1", "layer2", "layer1+layer2"}
