"""Columns of any name become metrics of that name in every report."""

import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from src.config import Config
from src.config.data import Folder
from src.config.enums import WandbMode
from src.leaderboard.__main__ import main as leaderboard
from src.reporting.run_folder import RunFolder
from src.run import run
from tests.support.options import changed

HEADS = ["a/b=c", "pi|pe", "ünï <b>", r"..\up", "../up", "intra", "sp ace", "sp_ace"]
FILES = [f"{folder}/{number}.png" for folder in ("ada", "bea", "cleo") for number in range(4)]


@pytest.mark.slow
@pytest.mark.usefixtures("small_squares")
def test_labels_of_any_name_reach_every_report(cfg: Config, tmp_path: Path) -> None:
    rows = [
        [file, *(f"v{row % (n + 2)}" for n in range(len(HEADS)))] for row, file in enumerate(FILES)
    ]
    table = tmp_path / "works.csv"
    table.write_text("\n".join(",".join(row) for row in [["file", *HEADS], *rows]))
    assert isinstance(cfg.data, Folder)
    cfg = changed(cfg, "data", labels=str(table))
    cfg = changed(cfg, "evaluation", labels=HEADS, resamples=10)
    cfg = changed(cfg, "tracking", wandb=WandbMode.offline, tensorboard=True)
    folder = tmp_path / "run"
    folder.mkdir()
    run(cfg, folder)
    names = [f"{head}/precision_at_1" for head in HEADS]
    metrics = RunFolder(folder).metrics()
    assert metrics is not None and set(names) <= set(metrics)
    assert all(RunFolder(folder).query_values(name, len(FILES)) is not None for name in names)
    board = EventAccumulator(str(folder))
    board.Reload()
    assert {name: board.Scalars(name)[0].value for name in names} == pytest.approx(
        {name: metrics[name] for name in names}
    )
    (sent,) = folder.glob("wandb/offline-run*/*.wandb")
    assert all(name.encode() in sent.read_bytes() for name in names if "\\" not in name)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text("seed: 0\n")
    with redirect_stdout(io.StringIO()) as printed:
        assert leaderboard([str(folder), "--sort", names[2]]) == 0
    assert "ünï <b>/precision_at_1" in printed.getvalue()
    assert "ünï &lt;b&gt;/precision_at_1" in (folder / "leaderboard.html").read_text("utf-8")
