"""Sweeps that others made, and the commands that repeat their runs."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from src.leaderboard.__main__ import main
from src.leaderboard.runs import read_runs
from tests.support.made_runs import N, random_neighbors, write_multirun, write_run

OVERRIDES = Path(".hydra", "overrides.yaml")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Return a folder with two runs, 0 and the unfinished 1."""
    draw = np.random.default_rng(0)
    for name in ("0", "1"):
        write_run(tmp_path / name, draw.random(N), random_neighbors(draw))
    (tmp_path / "1" / "metrics.json").unlink()
    return tmp_path


SWEEPS = {
    "range(0,40000000)": "more than 10000 jobs",
    "shuffle(range(0,40000000))": "more than 10000 jobs",
    "range(0,1e300,1e-300)": "more than 10000 jobs",
    "range(0,9,0.0)": "Invalid range values",
    "range(0,9,0)": "must not be zero",
    "interval(0,1)": "no finite number of values",
    "[" * 40: "Hydra does not read",
    "[" * 99_000: "too long",
    "{a:" * 51: "more than 50 brackets in each other",
    "x" * 200_000: "too long",
    ",".join(map(str, range(20_000))): "too long|more than 10000",
    "choice()": "Hydra does not read",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("value", SWEEPS, ids=lambda value: value[:30])
@pytest.mark.parametrize("place", ["params", "task"])
def test_a_sweep_without_end_is_named(value: str, place: str, sweep: Path) -> None:
    params = {"seed": value} if place == "params" else None
    write_multirun(sweep, params, [f"seed={value}"] if place == "task" else [])
    damaged, *runs = read_runs([sweep])
    assert len(runs) == 2
    assert damaged.folder == sweep
    assert damaged.error.startswith("multirun.yaml is damaged")
    assert any(part in damaged.error for part in SWEEPS[value].split("|"))


@pytest.mark.timeout(20)
def test_many_overrides_are_not_parsed(sweep: Path) -> None:
    words = ["data.limit=3"] * 30_000
    (sweep / "1" / OVERRIDES).write_text(yaml.safe_dump(words))
    write_multirun(sweep, None, words)
    damaged, _, run = read_runs([sweep])
    assert "more than 1000 overrides" in damaged.error
    assert run.command == "# no command for 1: its options are too long"


@pytest.mark.timeout(20)
def test_many_lists_are_not_parsed(sweep: Path) -> None:
    write_multirun(sweep, None, [f"o{number}=[{'1,' * 2000}1]" for number in range(20)])
    assert "is too long" in read_runs([sweep])[0].error


@pytest.mark.timeout(60)
def test_of_many_jobs_some_commands_are_printed(sweep: Path, capsys: pytest.CaptureFixture) -> None:
    write_multirun(sweep, {"similarity.top_k": "range(0,10000)"}, [])
    assert main([str(sweep)]) == 1
    printed = capsys.readouterr().out
    assert printed.count("python -m src.run") == 20
    assert "# and 9,979 more: see leaderboard.md, which has up to 1,000" in printed
    assert (sweep / "leaderboard.md").read_text().count("python -m src.run") == 1000
    assert (sweep / "leaderboard.html").read_text().count("python -m src.run") == 1000


def test_jobs_of_many_options_are_counted_before_they_are_listed(sweep: Path) -> None:
    write_multirun(sweep, None, [f"o{number}=0,1" for number in range(200)])
    assert "more than 10000 jobs" in read_runs([sweep])[0].error


@pytest.mark.parametrize(
    "hydra",
    [5, [1], {"sweep": 1}, {"sweep": {"subdir": "${hydra.job.num}"}, "sweeper": [1]},
     {"sweep": {"subdir": "${hydra.job.num}"},
      "sweeper": {"_target_": "a.BasicSweeper", "params": [1]}, "overrides": {"task": []}},
     {"sweep": {"subdir": "${hydra.job.num}"},
      "sweeper": {"_target_": "a.BasicSweeper", "params": {}}, "overrides": {"task": [5]}}],
)  # fmt: skip
def test_odd_settings_of_a_sweep_are_named(hydra: object, sweep: Path) -> None:
    (sweep / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    assert read_runs([sweep])[0].error.startswith("multirun.yaml is damaged")


@pytest.mark.parametrize(
    "override",
    ["+x=1", "++seed=1", "~seed", "~data", "-m", "--multirun", "--config-dir=/tmp/evil",
     "hydra.run.dir=/", "hydra.launcher.x=1", "hydra/launcher=joblib", "+hydra.x=1", "x=1",
     "experiment@data=demo", "seed=1,2", "seed=range(0,40000000)", "seed=glob(*)", "",
     "data.images=${oc.env:HOME}", "tracking.project=a${oc.env:AWS_SECRET_ACCESS_KEY}",
     "tracking.project=\\\\${oc.env:TOKEN}", "seed", "=", "seed=[[", "seed=" + "[" * 3000,
     "seed=" + "1" * 20_000, "; rm -rf ~"],
    ids=lambda word: word[:30],
)  # fmt: skip
def test_overrides_that_the_program_would_not_write_are_not_printed(
    override: str, sweep: Path
) -> None:
    (sweep / "1" / OVERRIDES).write_text(yaml.safe_dump(["seed=1", override]))
    run = read_runs([sweep])[1]
    assert run.command.startswith("# no command for 1: ")
    assert len(run.command) < 200


@pytest.mark.parametrize(
    "override",
    ["seed=1", "experiment=demo", "data=folder", "data.images=/a b", "data.labels=null",
     "backbone.layers=[layer1,layer2]", 'data.images="a\\${b}"', "data.artists=['a, b']",
     "similarity.top_k=5", "data.images='it is; rm -rf ~'"],
)  # fmt: skip
def test_overrides_of_options_are_repeated(override: str, sweep: Path) -> None:
    (sweep / "1" / OVERRIDES).write_text(yaml.safe_dump([override]))
    assert shlex.split(read_runs([sweep])[1].command)[3] == override


@pytest.mark.parametrize(
    ("outputs", "is_printed"), [("/etc", False), ("'/etc'", False), ("../x", False), ("a", True)]
)
def test_a_command_writes_where_the_run_is(outputs: str, is_printed: bool, sweep: Path) -> None:
    for value, expected in ((outputs, is_printed), (sweep, True)):
        (sweep / "1" / OVERRIDES).write_text(yaml.safe_dump([f"outputs={value}"]))
        assert read_runs([sweep])[1].command.startswith("python") == expected


def test_a_command_that_is_not_printed_is_one_line(sweep: Path) -> None:
    name = "1\nrm -rf ~"
    (sweep / "1").rename(sweep / name)
    (sweep / name / OVERRIDES).write_text(yaml.safe_dump(["x\nrm -rf ~=1"]))
    assert len(read_runs([sweep])[1].command.splitlines()) == 1
