"""Runs that are killed while they write their last files."""

from pathlib import Path

import pandas as pd
import pytest

from src.reporting.run_folder import RunFolder
from tests.support.processes import Fork, Point
from tests.support.ranked_run import write_ranked_run
from tests.support.results import checked_results

LAST = ["paintings.csv", "results.json", "metrics.json"]  # in this order


def report_to_be_killed(outputs: Path, point: Point) -> None:
    """As the body of a child: write a run, up to the point."""
    point.arm()
    write_ranked_run(outputs)


@pytest.mark.parametrize("number", range(len(LAST)), ids=LAST)
def test_a_kill_leaves_whole_files_and_no_complete_run(
    number: int, fork: Fork, tmp_path: Path
) -> None:
    fork(report_to_be_killed, tmp_path, Point("replace", name=LAST[number])).kill_at_announcement()
    (run,) = tmp_path.glob("runs/*/*")
    assert {path.name for path in run.iterdir()} & {*LAST} == {*LAST[:number]}
    assert RunFolder(run).metrics() is None  # the run is incomplete
    RunFolder(run).discard_results()
    assert not {path.name for path in run.iterdir()} & {*LAST}
    whole = write_ranked_run(tmp_path, job="again")
    checked_results(whole)
    assert len(pd.read_csv(whole / "paintings.csv")) == 60
