"""src.show over runs and galleries that others made."""

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from src import show
from src.reporting.run_folder import RunFolder

BOMB = "\n".join(["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 64))])


@pytest.fixture
def finished(finished_run: Path, tmp_path: Path) -> Path:
    """Copy a finished run and return its folder; outputs is parents[2]."""
    outputs = shutil.copytree(finished_run.parents[2], tmp_path / "outputs")
    return outputs / finished_run.relative_to(finished_run.parents[2])


def ask(folder: Path, *words: str) -> int:
    """Run src.show on the outputs of a run's folder; return the exit code."""
    return show.main([*words, "--outputs", str(folder.parents[2]), "--no-open"])


def gallery_of(run: Path) -> Path:
    return (run / RunFolder(run).paths()["gallery"]).resolve()


def with_file(name: str) -> Callable[[Path], None]:
    """Return what gives the first image of a run's gallery another path."""

    def change(run: Path) -> None:
        path = gallery_of(run) / "works.csv"
        head, first, *rest = csv.reader(io.StringIO(path.read_text()))
        first[head.index("file")] = name
        lines = io.StringIO()
        csv.writer(lines).writerows([head, first, *rest])
        path.write_text(lines.getvalue())

    return change


def with_names(names: np.ndarray) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        np.save(run / RunFolder(run).paths()["embeddings"] / "image_names.npy", names)

    return change


def vast(run: Path) -> None:
    """Give the table a terabyte, which takes no space."""
    with (gallery_of(run) / "works.csv").open("r+b") as file:
        file.truncate(2**40)


def other_paths(**paths: object) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        path = run / "paths.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | paths))

    return change


def gallery_yaml(text: str) -> Callable[[Path], None]:
    return lambda run: (gallery_of(run) / "gallery.yaml").write_text(text) and None


DAMAGE = {
    "an image above the folder": (with_file("../../../etc/passwd"), "is not below the folder"),
    "an image anywhere": (with_file("/etc/passwd"), "/etc/passwd is not below the folder"),
    "an image that goes up": (with_file("a/../../b.png"), "is not below the folder"),
    "no image": (with_file(""), "is not below the folder"),
    "a file twice": (with_file("bea/2.png"), "works.csv is damaged, so delete it: it lists a file"),
    "a vast table": (vast, "works.csv is damaged, so delete it: more than 1.1 GB"),
    "another gallery": (other_paths(gallery="/etc"), "/etc/gallery.yaml"),
    "a gallery that is no path": (other_paths(gallery=[1]), "paths.yaml is damaged"),
    "a gallery with NUL": (other_paths(gallery="a\0b"), "paths.yaml is damaged"),
    "half a letter": (other_paths(gallery="a\ud800"), "paths.yaml is damaged"),
    "aliases": (gallery_yaml(BOMB), "gallery.yaml is damaged, so delete it: aliases and tags"),
    "no root": (gallery_yaml("root: [1]"), "gallery.yaml is damaged, so delete it: it names no"),
    "objects as names": (with_names(np.array([{}] * 12)), "image_names.npy is damaged"),
    "too few names": (with_names(np.array(["a.png"])), "not the name of each image"),
    "numbers as names": (with_names(np.arange(12)), "not the name of each image"),
    "no text": (lambda run: (gallery_of(run) / "works.csv").write_bytes(b"\0"), "works.csv"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_or_hostile_run_ends_with_one_line(
    name: str, finished: Path, capsys: pytest.CaptureFixture
) -> None:
    damage, message = DAMAGE[name]
    damage(finished)
    assert ask(finished, "5") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
