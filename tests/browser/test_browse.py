"""The command: which runs it opens, its port, and how it ends."""

import json
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from src.browse import main
from src.browser.choice import MAX_RUNS, chosen_runs, newest_run
from src.browser.serving import listen
from src.errors import UserError
from tests.support.browsed import browsed, read_answer


def one_line(capsys: pytest.CaptureFixture) -> str:
    """Return the one line on stderr."""
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_without_a_run_it_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["--port", "0", "--outputs", str(tmp_path / "outputs")]) == 2
    line = one_line(capsys)
    assert line.startswith(f"error: there is no finished run in {tmp_path}/outputs yet")
    assert line.endswith("python -m src.run experiment=demo")


@pytest.mark.parametrize(
    ("kind", "message"),
    [("missing", "there is no folder .*<date>/<time>"), ("empty", "there are no runs in")],
)
def test_a_folder_that_is_no_run_is_an_error(kind: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        chosen_runs([tmp_path / kind], tmp_path)


def copied(two_runs: list[Path], tmp_path: Path, count: int = 2) -> Path:
    """Return a sweep's folder with copies of a run, of which later ones are better."""
    outputs = shutil.copytree(two_runs[0].parents[3], tmp_path / "outputs")
    sweep = outputs / two_runs[0].parent.relative_to(two_runs[0].parents[3])
    for number in range(count):
        if number > 1:
            shutil.copytree(sweep / "1", sweep / str(number))
        path = sweep / str(number) / "metrics.json"
        metrics = json.loads(path.read_text())
        path.write_text(json.dumps(metrics | {"folder/map_at_10": 0.1 + 0.01 * number}))
    return sweep


def test_a_sweep_stands_for_its_best_runs(
    two_runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    sweep = copied(two_runs, tmp_path)
    assert chosen_runs([sweep], tmp_path) == [sweep / "1", sweep / "0"]
    assert capsys.readouterr().out == ""
    assert chosen_runs([sweep / "0", sweep], tmp_path) == [sweep / "0", sweep / "1"]
    assert chosen_runs([sweep / "0", sweep / "1" / ".." / "0"], tmp_path) == [sweep / "0"]


def test_what_is_left_out_of_a_sweep_is_said(
    two_runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    sweep = copied(two_runs, tmp_path, MAX_RUNS + 4)
    (sweep / "11" / "metrics.json").unlink()
    path = sweep / "10" / "paths.yaml"
    path.write_text(path.read_text().replace("images: ", "images: other"))
    assert [run.name for run in chosen_runs([sweep], tmp_path)] == list("98765432")
    (line,) = capsys.readouterr().out.splitlines()
    assert line == (
        f"8 of 12 runs in {sweep} are open, left out: 2 with less folder/map_at_10,"
        " 1 over other images or labels, 1 not finished"
    )


def test_a_sweep_of_which_no_run_is_finished_is_an_error(
    two_runs: list[Path], tmp_path: Path
) -> None:
    sweep = copied(two_runs, tmp_path)
    for number in range(2):
        (sweep / str(number) / "metrics.json").unlink()
    with pytest.raises(UserError, match=f"no run in {sweep} is finished: interrupted"):
        chosen_runs([sweep], tmp_path)


def test_the_newest_finished_run_is_opened(two_runs: list[Path], tmp_path: Path) -> None:
    sweep = copied(two_runs, tmp_path)
    outputs = tmp_path / "outputs"
    os.utime(sweep / "0" / "metrics.json", (2e9, 2e9))
    assert newest_run(outputs) == sweep / "0"
    assert chosen_runs([], outputs) == [sweep / "0"]
    (sweep / "0" / "metrics.json").unlink()  # as while it is computed
    assert chosen_runs([], outputs) == [sweep / "1"]


def test_a_port_in_use_is_an_error_that_names_a_free_one(
    two_runs: list[Path], capsys: pytest.CaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        assert main([str(two_runs[0]), "--port", str(port)]) == 2
    line = one_line(capsys)
    assert line.startswith(f"error: port {port} is in use")
    free = int(line.rpartition("--port ")[2])
    assert f"make browse PORT={free}" in line
    with listen("127.0.0.1", free) as listening:
        assert free == 0 or listening.getsockname()[1] == free


@pytest.mark.parametrize("port", ["-1", "65536", "http", "80 80"])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main([f"--port={port}"])
    expected = f"argument --port: a port is a number from 0 to 65535, got '{port}'"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--export", "--outputs"])
def test_an_empty_path_is_refused(option: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main([option, ""])
    assert f"argument {option}: give a path, got an empty value" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a" * 80, "\udcff"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(UserError, match="is no address of this machine") as refused:
        listen(host, 0)
    assert "attempting" not in str(refused.value)


def test_a_port_of_the_administrator_is_refused() -> None:
    with (
        mock.patch("socket.create_server", side_effect=PermissionError(13, "Permission denied")),
        pytest.raises(UserError, match="port 80 is only for the administrator"),
    ):
        listen("127.0.0.1", 80)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -15)])
def test_a_signal_ends_it_at_once_whatever_is_open(
    two_runs: list[Path], tmp_path: Path, number: int, code: int
) -> None:
    with browsed(tmp_path / "errors.txt", *two_runs, "--port", "0") as server:
        kept, half, body = (server.connect() for _ in range(3))
        request = f"GET /0/gallery.html HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode()
        kept.sendall(request)
        assert read_answer(kept).status == 200
        half.sendall(request[:40])
        origin = f"Origin: http://{server.host}\r\nContent-Length: 1000\r\n\r\nhalf"
        body.sendall(
            request.replace(b"GET /0/gallery.html", b"POST /0/query")[:-2] + origin.encode()
        )
        started = time.monotonic()
        assert server.stop(number) == code
        assert time.monotonic() - started < 4  # a hang would be endless, a slow machine is not
        for connection in (kept, half, body):
            connection.close()
    assert "Traceback" not in (tmp_path / "errors.txt").read_text()


def test_after_a_kill_the_open_page_goes_on(two_runs: list[Path], tmp_path: Path) -> None:
    words = [*two_runs, "--outputs", tmp_path, "--port"]
    with browsed(tmp_path / "errors.txt", *words, "0") as server:
        port = server.port
        page = server.ask("/0/painting.html?row=3").body
        picture = server.ask("/thumbnails/0/000/3.jpg")
        kept = server.connect()  # a browser's, which is still open when the server is not
        assert server.stop(signal.SIGKILL) == -9
    with browsed(tmp_path / "errors.txt", *words, str(port)) as server:
        assert server.port == port
        assert server.ask("/0/painting.html?row=3").body == page
        assert server.ask("/0/painting.html?row=4").status == 200
        tag = picture.headers["etag"]
        assert server.ask("/thumbnails/0/000/3.jpg", f"If-None-Match: {tag}").status == 304
        kept.close()


def test_who_can_reach_it_is_said(two_runs: list[Path], tmp_path: Path) -> None:
    with browsed(tmp_path / "errors.txt", two_runs[0], "--port", "0") as server:
        assert server.line.endswith(f" on http://127.0.0.1:{server.port}/ (Ctrl-C ends)\n")
        assert (tmp_path / "errors.txt").read_text() == ""
    words = ["--port", "0", "--host", "0.0.0.0"]
    with browsed(tmp_path / "errors.txt", two_runs[0], *words) as server:
        line = (tmp_path / "errors.txt").read_text()
        assert line.startswith("warning: everybody in the network")
        assert server.ask("/0/gallery.html").status == 200


def test_the_browser_is_opened_once_the_server_listens(
    two_runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = tmp_path / "opener"
    asks = "import sys, urllib.request as r; r.urlopen(sys.argv[1]).read();"
    asks += " open(sys.argv[2], 'w').write(sys.argv[1])"
    opener.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "{asks}" "$1" {tmp_path / "opened"}.part\n'
    )
    opener.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(opener))
    with browsed(tmp_path / "errors.txt", two_runs[0], "--port", "0", "--open") as server:
        end = time.monotonic() + 20
        while not (path := tmp_path / "opened.part").exists() or not path.read_text():
            assert time.monotonic() < end
            time.sleep(0.01)
        assert path.read_text() == f"http://127.0.0.1:{server.port}/"
