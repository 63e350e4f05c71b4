"""python -m src.query: tables, JSON and pictures; images of any name; what cannot be read."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src import query
from src.reporting.query_answer import picture_name
from tests.support.commands import ROOT
from tests.support.options import small, store


@pytest.fixture(scope="session")
def stored_run(finished_run: Path, shared_paintings: Path, tmp_path_factory) -> Path:
    """Return a finished run with its options; outputs is parents[2]."""
    outputs = tmp_path_factory.mktemp("asked") / "outputs"
    shutil.copytree(finished_run.parents[2], outputs)
    folder = outputs / finished_run.relative_to(finished_run.parents[2])
    store(small(shared_paintings, outputs), folder)
    return folder


def ask(run: Path, *words: object) -> int:
    """Run the command on the outputs of a run; return the exit code."""
    given = [*map(str, words), "--outputs", str(run.parents[2]), "--no-open"]
    return query.main(given)


def test_an_image_has_a_table_and_a_picture(
    stored_run: Path, shared_paintings: Path, capsys: pytest.CaptureFixture
) -> None:
    assert ask(stored_run, shared_paintings / "bea" / "1.png", "--k", "4") == 0
    title, _, _, first, *others, wrote, _ = capsys.readouterr().out.splitlines()
    assert title == "1.png"
    assert first.split() == ["1", "1.0000", "row", "5", "bea/1.png"]
    index = np.load(stored_run / "neighbors.npz")["index"][5]
    assert [int(line.split()[3]) for line in others] == index.tolist()
    picture = Path(wrote.removeprefix("wrote "))
    assert picture.name == "query-1.jpg"
    with Image.open(picture) as image:
        assert image.width > 1000


def test_json_is_a_line_for_each_image(
    stored_run: Path, shared_paintings: Path, capsys: pytest.CaptureFixture
) -> None:
    assert ask(stored_run, shared_paintings, "--json", "--k", "2", "--run", stored_run) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 12
    for row, line in enumerate(lines):
        assert list(line) == ["query", "run", "neighbors"]
        assert (Path(line["query"]).parent.parent, line["run"]) == (
            shared_paintings,
            str(stored_run),
        )
        first, second = line["neighbors"]
        assert list(first) == [
            *("row", "file", "title", "artist", "date", "score", "page", "iiif"),
        ]
        assert (first["row"], first["score"]) == (row, 1.0)
        assert second["score"] < 1


def test_images_that_cannot_be_read_are_named_and_left_out(
    stored_run: Path, shared_paintings: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    broken = tmp_path / "broken \x1b[2J.jpg"
    broken.write_bytes(b"no image")
    odd = tmp_path / os.fsdecode(b"\xff & (1).png")
    shutil.copy(shared_paintings / "ada" / "0.png", odd)
    assert ask(stored_run, broken, odd, "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["query"] == str(odd)
    assert r"broken \x1b[2J.jpg: UnidentifiedImageError" in printed.err
    assert ask(stored_run, broken) == 2
    assert "error: none of the 1 images can be read" in capsys.readouterr().err


def test_errors_are_one_line_before_the_work(
    stored_run: Path, shared_paintings: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    image = shared_paintings / "ada" / "0.png"
    (tmp_path / "empty").mkdir()
    for words, text in (
        ([tmp_path / "gone.jpg"], "gone.jpg does not exist: give an image"),
        ([tmp_path / "empty"], "empty holds no image"),
        ([image, "--k", "0"], "--k must be between 1 and 12, got 0"),
        ([image, "--k", "13"], "--k must be between 1 and 12, got 13"),
        ([image, "--run", tmp_path], "is not a finished run"),
    ):
        assert ask(stored_run, *words) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and text in error and error.count("\n") == 1
    assert query.main([str(image), "--outputs", str(tmp_path), "--no-open"]) == 2
    assert "there is no finished run" in capsys.readouterr().err


def test_no_pictures_are_written_where_none_are_wanted(
    stored_run: Path, shared_paintings: Path, capsys: pytest.CaptureFixture
) -> None:
    before = {path: path.stat().st_mtime_ns for path in stored_run.glob("query-*")}
    assert ask(stored_run, shared_paintings / "cleo", "--no-pictures") == 0
    assert {path: path.stat().st_mtime_ns for path in stored_run.glob("query-*")} == before
    assert capsys.readouterr().out.count("   1  1.0000   row") == 4


def test_without_a_place_for_pictures_there_are_tables(
    stored_run: Path,
    shared_paintings: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", ".query-0.jpg.part")

    monkeypatch.setattr(query, "save_page", read_only)
    assert ask(stored_run, shared_paintings / "cleo") == 0
    printed = capsys.readouterr()
    assert printed.out.count("   1  1.0000   row") == 4 and "wrote" not in printed.out
    (line,) = (line for line in printed.err.splitlines() if "warning" in line)
    assert f"no picture can be written to {stored_run}: Read-only file system" in line
    assert "--no-pictures" in line and ".part" not in line


def test_help_shows_examples(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        query.main(["--help"])
    assert stop.value.code == 0
    assert "python -m src.query my/photos --k 5 --json" in capsys.readouterr().out


def test_an_image_that_is_named_twice_is_asked_once(shared_paintings: Path, tmp_path: Path) -> None:
    image = shared_paintings / "ada" / "0.png"
    found = query.image_files([image, shared_paintings / "ada", image], tmp_path)
    assert [path.name for path in found] == ["0.png", "1.png", "2.png", "3.png"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "query-passwd.jpg"),
        ("..jpg", "query-image.jpg"),
        ("-rf $(x)\n.png", "query-rf-x.jpg"),
        ("神奈川.png", "query-神奈川.jpg"),
        (os.fsdecode(b"\xff.png"), "query-image.jpg"),
    ],
)
def test_names_of_pictures_are_safe(name: str, expected: str) -> None:
    assert picture_name(Path(name), set()) == expected
    long = picture_name(Path("é" * 120 + ".png"), set())
    assert len(long.encode()) < 120


def test_only_a_single_picture_is_opened(
    stored_run: Path, shared_paintings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = list[str]()
    monkeypatch.setattr(query.webbrowser, "open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    words = ["--outputs", str(stored_run.parents[2])]
    assert query.main([str(shared_paintings / "ada"), *words]) == 0
    assert opened == []
    assert query.main([str(shared_paintings / "ada" / "0.png"), *words]) == 0
    assert [address.rpartition("/")[2] for address in opened] == ["query-0.jpg"]


@pytest.mark.slow
def test_ctrl_c_ends_it(stored_run: Path, shared_paintings: Path, tmp_path: Path) -> None:
    for number in range(400):
        os.link(shared_paintings / "ada" / "0.png", tmp_path / f"{number}.png")
    command = [sys.executable, "-m", "src.query", str(tmp_path), "--outputs"]
    command += [str(stored_run.parents[2]), "--no-open", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith('{"query": ')
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        errors = process.stderr.read()
        assert process.wait(20) == 130
    assert time.monotonic() - start < 10
    assert errors.endswith("interrupted\n") and "Traceback" not in errors
