"""Runs that are stopped in the middle, as real processes."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from src import cli
from src.config import Config
from src.embed import embed
from src.gallery import folder_gallery

ROOT = Path(__file__).resolve().parent.parent
STARTED = "import sys; from tests.test_stops import slow; slow(*sys.argv[1:])"


def slow(images: str, outputs: str) -> None:
    """A run that takes long enough to be stopped; the body of the processes below."""
    import src.run
    from src import embed as stage

    write = stage.RowWriter.write_on_batch_end

    def wait(self: stage.RowWriter, *arguments: object) -> None:
        write(self, *arguments)
        print("batch", flush=True)
        time.sleep(1)

    stage.RowWriter.write_on_batch_end = wait
    sys.argv = ["run", "data=folder", f"data.images={images}", f"outputs={outputs}"]
    sys.argv += ["backbone.name=resnet18", "backbone.weights=random", "backbone.layer=layer1"]
    sys.argv += ["data.batch_size=1", "data.workers=0", "tracking=off", "similarity.top_k=3"]
    sys.exit(cli.command(src.run.main))


def started(paintings: Path, outputs: Path) -> subprocess.Popen[str]:
    """A run in a process of its own that has written its first row."""
    command = [sys.executable, "-c", STARTED, str(paintings), str(outputs)]
    process = subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "batch\n"
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_ends_at_once_and_leaves_no_half_rows(
    paintings: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = started(paintings, tmp_path)
    process.send_signal(number)
    _, printed = process.communicate(timeout=10)
    assert process.returncode == code
    assert "Traceback" not in printed
    assert list(tmp_path.glob("embeddings/**/*.part")) == []
    assert list(tmp_path.glob("embeddings/**/features.npy")) == []


def test_what_a_killed_run_left_is_removed_by_the_next(
    cfg: Config, paintings: Path, tmp_path: Path
) -> None:
    process = started(paintings, Path(cfg.outputs))
    process.kill()
    process.communicate()
    outputs = Path(cfg.outputs)
    assert len(list(outputs.glob("embeddings/*/*/*.part"))) == 1
    embed(folder_gallery(paintings, None, None, 0, outputs), cfg)
    assert list(outputs.glob("embeddings/*/*/*.part")) == []
    assert len(list(outputs.glob("embeddings/*/*/layer1/features.npy"))) == 1
