"""Text of others reaches no terminal, log or page as it is: names, titles, labels, run folders."""

import csv
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from src import show
from src.config.enums import View
from src.config.overrides import quote_value
from src.io.tables import read_table
from src.leaderboard.__main__ import main as leaderboard
from tests.conftest import make_squares_small
from tests.support.commands import CommandResult, command
from tests.support.made_runs import N, random_neighbors, update_metrics, write_run
from tests.support.nga_rows import catalog, image, museum, person, role, term, work

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
ODD = "\x1b]0;owned\x07 \x9b2J \u202etxen\u2066 \u200b\u2028a\rb\n[x][ERROR] - error: forged\tz"
NAMES = [f"{folder}{ODD}/{n}{ODD}.png" for folder in ("=1", "-b") for n in "123"]


def assert_shown(*texts: str) -> None:
    """Check that texts hold nothing that hides, moves, repaints or forges a line."""
    for text in texts:
        found = {sign for sign in text if unicodedata.category(sign) in HIDDEN} - {"\n"}
        assert not found, ascii(found)
        assert not any(line.startswith("[x]") for line in text.split("\n"))


def draw(folder: Path) -> Path:
    """Write images of NAMES, another one whose name is not UTF-8, and a table of their labels."""
    rng, rows = np.random.default_rng(0), []
    for number, name in enumerate([*NAMES, os.fsdecode(b"caf\xe9.png")]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(path)
        rows.append([name, f"=title {number}{ODD}", f"{ODD}artist {number % 2}", f"-{number % 3}"])
    (folder / "broken\x1b[2J.png").write_text("none")
    with (folder / "labels.csv").open("w", newline="", errors="surrogateescape") as file:
        csv.writer(file).writerows([["file", "title", "artist", f"mood{ODD}"], *rows])
    return folder


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CommandResult, Path]]:
    """Run over such images into a folder with such a name; return what was printed, and outputs."""
    folder = tmp_path_factory.mktemp("foreign")
    images, outputs = draw(folder / "in"), folder / "out\x1b[1m\u202e"
    words = ["data=folder", f"data.images={images}", f"data.labels={images / 'labels.csv'}"]
    words += [f"outputs={quote_value(str(outputs))}", "backbone.name=resnet18", "tracking=off"]
    words += ["backbone.weights=random", "backbone.layer=layer1", "similarity.top_k=2"]
    words += ["evaluation.resamples=20", "trainer.accelerator=cpu", "data.workers=0"]
    with pytest.MonkeyPatch.context() as replaced:
        make_squares_small(replaced)
        yield command("src.run", *words), outputs


def test_a_run_prints_and_logs_nothing_hidden(ended: tuple[CommandResult, Path]) -> None:
    result, outputs = ended
    assert result.returncode == 0, result.stderr
    (log,) = outputs.glob("runs/*/*/run.log")
    assert_shown(result.stdout, result.stderr, log.read_text())
    assert r"broken\x1b[2J.png" in log.read_text()


def test_its_titles_and_labels_lose_what_is_hidden(ended: tuple[CommandResult, Path]) -> None:
    (path,) = ended[1].glob("galleries/*/works.csv")
    works = read_table(path).set_index("file")
    assert_shown(*works["title"], *works["artist"], *works)
    title = "=title 1]0;owned 2J txen a b [x][ERROR] - error: forged z"
    assert works["title"][f"'{NAMES[1]}"] == f"'{title}"  # both escaped for spreadsheets


@pytest.mark.usefixtures("small_squares")
def test_paintings_are_shown_without_what_is_hidden(
    ended: tuple[CommandResult, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (metrics,) = ended[1].glob("runs/*/*/metrics.json")
    (gallery,) = ended[1].glob("galleries/*")
    picture = str(tmp_path / "\x1b[2J\n[x].jpg")
    for words in (["0", "--run", str(metrics.parent)], ["title", "--run", str(metrics.parent)]):
        code = show.main([*words, "--no-open", "--out", picture])
        assert code == (2 if words[0] == "title" else 0)  # several have that title: an error
    assert show.main(["gallery", str(gallery), "--no-open", "--out", picture]) == 0
    printed = capsys.readouterr()
    assert_shown(printed.out, printed.err)
    assert "7 paintings have 'title' in file, title, artist or date" in printed.err


def test_its_leaderboard_shows_nothing_hidden(
    ended: tuple[CommandResult, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert leaderboard([str(ended[1])]) == 0
    printed = capsys.readouterr()
    written = [path.read_bytes().decode() for path in ended[1].glob("leaderboard.*")]
    assert len(written) == 3
    assert_shown(printed.out, printed.err, *written)


def test_foreign_run_folders_show_nothing_hidden(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        folder = tmp_path / f"{number}{ODD}"
        layer = {"layer": f"={number}{ODD}"}
        write_run(folder, rng.random(N), random_neighbors(rng), backbone=layer)
        update_metrics(folder, **{f"=cmd{ODD}/map_at_10": 0.1 * number, "device": f"+{ODD}"})
        (folder / "run.log").write_text(f"[t][src][ERROR] - error: {ODD}\n", errors="replace")
    (folder / "metrics.json").unlink()
    leaderboard([str(tmp_path)])
    leaderboard([str(tmp_path), "--sort", ODD])
    printed = capsys.readouterr()
    written = [path.read_bytes().decode() for path in tmp_path.glob("leaderboard.*")]
    assert_shown(printed.out, printed.err, *written)
    assert "incomplete: 1 of 4" in printed.out and len(written) == 3


@pytest.mark.parametrize(("words", "cell"), [([], "'=x"), (["--no-escape-formulas"], "=x")])
def test_the_leaderboard_for_spreadsheets_has_text_and_numbers(
    words: list[str], cell: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for name in ("=x", "y"):
        folder = tmp_path / name
        write_run(folder, rng.random(N), random_neighbors(rng), backbone={"layer": name})
        update_metrics(folder, intra=-0.013)
    assert leaderboard([str(tmp_path), *words]) == 0
    table = pd.read_csv(tmp_path / "leaderboard.csv")
    assert set(table["run"]) == set(table["backbone.layer"]) == {cell, "y"}
    assert table["intra"].tolist() == [-0.013, -0.013]


def test_a_museum_prints_its_kinds_without_what_is_hidden(tmp_path: Path) -> None:
    museum(tmp_path, objects=[work(n, classification=f"Painting{ODD}") for n in (1, 2, 3)])
    tables, outputs = f"data.tables={tmp_path}", f"outputs={tmp_path / 'out'}"
    result = command("src.run", tables, outputs, "data.classification=Print")
    assert result.returncode == 2 and "no published image has it" in result.stderr
    assert_shown(result.stdout, result.stderr)
    assert result.stderr.count("error: ") == 2  # ours, and the one that stays within its line


def test_labels_of_a_museum_lose_what_is_hidden(tmp_path: Path) -> None:
    numbers = (1, 2, 3)
    tables = museum(
        tmp_path,
        [image(n, viewtype=f"primary{ODD}") for n in numbers],
        objects=[work(n, title=ODD, displaydate=ODD, medium=ODD) for n in numbers],
        roles=[role(n, "Ley") for n in numbers],
        people=[person("Ley", ODD) | {"forwarddisplayname": ODD}],
        terms=[term(n, kind, ODD) for n in numbers for kind in ("School", "Style")],
    )
    works = catalog(tables, view=View.all).works
    assert_shown(*works.drop(columns=["url"]).to_numpy().ravel())
    assert set(works["artist"]) == {"]0;owned 2J txen a b [x][ERROR] - error: forged z"}
