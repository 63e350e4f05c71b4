"""The download as a command: log, exit codes and refusals."""

from pathlib import Path

from tests.support.commands import CommandResult, command
from tests.support.hosts import BadMuseum, Fault


def download(*words: str) -> CommandResult:
    """Run src.download with these words, without a rate limit."""
    return command("src.download", "download.requests_per_second=0", *words)


def test_the_command_logs_its_outcomes(museum: BadMuseum, tmp_path: Path) -> None:
    result = download(f"data.tables={museum.address}/data", f"outputs={tmp_path / 'outputs'}")
    assert result.returncode == 0
    assert "      40  images selected\n      40  downloaded\n" in result.stderr
    assert list((tmp_path / "outputs").glob("downloads/*/*/download.log"))
    assert "40 images: " in result.stdout
    command_line = result.stdout.splitlines()[-1]
    assert command_line.startswith("find their neighbors: python -m src.run download.requests")
    assert f"data.tables={museum.address}/data" in command_line


def test_the_command_ends_with_code_1_when_too_many_are_missing(
    museum: BadMuseum, tmp_path: Path
) -> None:
    museum.every = Fault("410")
    result = download(f"data.tables={museum.address}/data", f"outputs={tmp_path / 'outputs'}")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: 40 of 40 images are missing")


def test_a_folder_has_nothing_to_download(tmp_path: Path) -> None:
    result = download("data=folder", "data.images=tests", f"outputs={tmp_path}")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "nothing to download" in result.stderr
