import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src import show
from src.config import Config
from src.reporting.run_folder import RunFolder
from src.run import run


@pytest.fixture
def finished(finished_run: Path, tmp_path: Path) -> Path:
    """Copy a finished run and return its folder; outputs is parents[2]."""
    outputs = shutil.copytree(finished_run.parents[2], tmp_path / "outputs")
    return outputs / finished_run.relative_to(finished_run.parents[2])


def run_on(cfg: Config, day: str) -> Path:
    """Run and return the folder, named by day."""
    folder = Path(cfg.outputs, "runs", day, "12-00-00-000000")
    folder.mkdir(parents=True)
    run(cfg, folder)
    return folder


def ask(folder: Path, *words: str) -> int:
    """Run src.show on the outputs of a run's folder; return the exit code."""
    return show.main([*words, "--outputs", str(folder.parents[2]), "--no-open"])


def test_a_row_is_shown_with_its_neighbors(finished: Path, capsys: pytest.CaptureFixture) -> None:
    assert ask(finished, "5") == 0
    named = np.load(finished / "top_3_similar.npy")[5]
    printed = capsys.readouterr().out
    for rank, (name, score) in enumerate(named, 1):
        assert f"{rank}  {score:.4f}" in printed
        assert name in printed
    with Image.open(finished / "neighbors-5.jpg") as picture:
        assert picture.width > 1000


def test_the_query_is_told_first_and_hits_are_marked(
    finished: Path, capsys: pytest.CaptureFixture
) -> None:
    assert ask(finished, "bea/1.png") == 0
    title, *facts, first, second, third, _ = capsys.readouterr().out.splitlines()
    assert title == "bea/1.png (row 5 of 12)"
    index = np.load(finished / "neighbors.npz")["index"][5]
    for line, neighbor in zip((first, second, third), index.tolist(), strict=True):
        assert (" * row" in line) == (4 <= neighbor < 8)
    same = sum(4 <= neighbor < 8 for neighbor in index.tolist())
    assert f"*: the same folder as the query ({same} of 3)" in facts


def test_all_paintings_with_a_word_are_listed(
    finished: Path, capsys: pytest.CaptureFixture
) -> None:
    assert ask(finished, "--all", "bea") == 0
    *rows, last = capsys.readouterr().out.splitlines()
    assert [row.split()[1:] for row in rows] == [[str(n), f"bea/{n - 4}.png"] for n in range(4, 8)]
    assert last == "4 of 12 paintings have 'bea' in file or caption"
    assert not list(finished.glob("neighbors-*"))
    for words in (["--all"], ["--all", "zoe"]):
        assert ask(finished, *words) == 2
    errors = capsys.readouterr().err
    assert "--all needs what to search for" in errors
    assert "no file, title, artist or date contains 'zoe'" in errors


def test_a_number_that_is_no_row_is_a_name(finished: Path, capsys: pytest.CaptureFixture) -> None:
    names = next(finished.parents[2].glob("embeddings/*/*/*/image_names.npy"))
    files = np.load(names).tolist()
    files[3] = "ada/1884.png"
    np.save(names, files)
    assert ask(finished, "1884") == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        "rows are 0 to 11, so 1884 was searched as a name\nada/1884.png (row 3"
    )


def test_help_names_both_forms(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        show.main(["--help"])
    printed = capsys.readouterr().out
    assert "python -m src.show gallery [FOLDER]" in printed.split("\n\n")[0]
    assert 'python -m src.show "girl with a flute"' in printed


@pytest.mark.parametrize("words", [["bea/2.png"], ["BEA/2"], ["6"]])
def test_a_painting_is_found_by_row_file_or_part(finished: Path, words: list[str]) -> None:
    assert ask(finished, *words) == 0
    assert (finished / "neighbors-6.jpg").exists()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("12", "row must be between 0 and 11, got 12"),
        ("zoe", "no file, title, artist or date contains 'zoe'"),
        (
            "bea",
            "4 paintings have 'bea' in file, title, artist or date; give a row: 4: bea/0.png; 5",
        ),
    ],
)
def test_a_painting_that_is_not_found_is_an_error(
    finished: Path, word: str, message: str, capsys: pytest.CaptureFixture
) -> None:
    assert ask(finished, word) == 2
    assert message in capsys.readouterr().err


def test_the_random_choice_can_be_repeated(finished: Path, capsys: pytest.CaptureFixture) -> None:
    assert ask(finished) == 0
    first = capsys.readouterr().out
    seed = first.split("--seed ")[1].split()[0]
    assert ask(finished, "--seed", seed) == 0
    assert capsys.readouterr().out == first


def test_without_a_run_the_error_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert show.main(["--outputs", str(tmp_path)]) == 2
    assert "python -m src.run experiment=demo" in capsys.readouterr().err
    assert show.main(["3", "--run", str(tmp_path)]) == 2
    assert "is not a finished run" in capsys.readouterr().err


@pytest.mark.usefixtures("small_squares")
def test_a_run_can_be_shown_after_its_gallery_has_changed(cfg: Config, paintings: Path) -> None:
    finished = run_on(cfg, "2026-01-01")
    (paintings / "ada" / "0.png").unlink()
    run_on(cfg, "2026-01-02")
    gallery = RunFolder(finished).gallery()
    index = np.load(finished / "neighbors.npz")["index"]
    assert (len(gallery), len(index)) == (12, 12)
    assert gallery.files[0] == "ada/0.png"
    assert ask(finished, "0", "--run", str(finished)) == 0


@pytest.mark.usefixtures("small_squares")
def test_a_gallery_is_counted_and_checked(
    cfg: Config, paintings: Path, capsys: pytest.CaptureFixture
) -> None:
    finished = run_on(cfg, "2026-01-01")
    capsys.readouterr()
    (paintings / "cleo" / "3.png").write_bytes((paintings / "cleo/3.png").read_bytes()[:200])
    assert ask(finished, "gallery") == 0
    printed = capsys.readouterr().out
    assert "12 images\nwidth 40 to 40 pixels, median 40; height 30 to 33 pixels" in printed
    assert "values: folder 3" in printed
    assert "1 unreadable\n  cleo/3.png: " in printed
    assert list(finished.parents[2].glob("galleries/*/gallery.jpg"))


def test_any_folder_of_images_can_be_inspected(
    paintings: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    picture = tmp_path / "sheet.png"
    assert show.main(["gallery", str(paintings), "--out", str(picture), "--no-open"]) == 0
    assert "paintings: 12 images" in capsys.readouterr().out
    with Image.open(picture) as sheet:
        assert sheet.format == "PNG"
    assert show.main(["gallery", str(tmp_path / "none")]) == 2
    assert "neither a gallery nor a folder with images" in capsys.readouterr().err


@pytest.mark.parametrize("lost", ["paths.yaml", "neighbors.npz"])
def test_a_damaged_run_is_an_error_of_one_line(
    finished: Path, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / lost).write_bytes(b"")
    assert ask(finished, "1", "--run", str(finished)) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert "Traceback" not in printed


def test_a_negative_seed_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        show.main(["--seed", "-1"])
    assert "invalid seed value" in capsys.readouterr().err
