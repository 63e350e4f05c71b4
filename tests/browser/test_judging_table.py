"""The table of judgements when processes are killed, or write to it side by side."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from src.browser.judging import HEAD, append_line
from src.gallery.judgements import read_verdicts
from src.io.files import folder_lock
from tests.support.processes import Fork, Moment, Point


def append_to_be_killed(path: Path, point: Point | None, number: int) -> None:
    """Append lines, until the point at which the test kills this process if there is one."""
    if point:
        point.arm()
    for line in range(20):
        append_line(path, [f"{number}.png", f"{line}.png", "1", "", ""])


@pytest.mark.parametrize("when", ["before", "half", "after"])
def test_a_kill_loses_the_line_on_its_way_and_nothing_else(
    tmp_path: Path, fork: Fork, when: Moment
) -> None:
    table = tmp_path / "j.csv"
    for number in range(2):
        point = Point("replace", 7, when, "j.csv")
        fork(append_to_be_killed, table, point, number).kill_at_announcement()
    append_line(table, ["last.png", "0.png", "0", "", ""])
    verdicts = read_verdicts(table)
    whole = 8 if when == "after" else 7
    expected = [(f"{number}.png", f"{line}.png") for number in range(2) for line in range(whole)]
    assert [(v.query, v.neighbor) for v in verdicts] == [*expected, ("last.png", "0.png")]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "j.csv"]


def test_several_processes_and_threads_lose_no_line(tmp_path: Path, fork: Fork) -> None:
    table = tmp_path / "j.csv"
    with folder_lock(tmp_path):  # all wait here, so that they append side by side
        children = [fork(append_to_be_killed, table, None, number) for number in range(2)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda number: append_to_be_killed(table, None, number), range(2, 5)))
    for child in children:
        child.wait_for_success()
    verdicts = read_verdicts(table)
    assert {(v.query, v.neighbor) for v in verdicts} == {
        (f"{number}.png", f"{line}.png") for number in range(5) for line in range(20)
    }
    assert table.read_bytes().count(b"\n") == 101


def test_links_that_others_plant_are_not_written_through(tmp_path: Path) -> None:
    precious, table = tmp_path / "precious.csv", tmp_path / "outputs" / "j.csv"
    precious.write_bytes(HEAD + b"\na,b,1,,\n")
    table.parent.mkdir()
    table.symlink_to(precious)
    append_line(table, ["c", "d", "0", "", ""])
    assert precious.read_bytes() == HEAD + b"\na,b,1,,\n"
    assert not table.is_symlink() and len(read_verdicts(table)) == 2
