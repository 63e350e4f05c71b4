"""data=features: how a file of vectors becomes cached rows."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.config.features import Features
from src.embedding import own_vectors
from src.errors import UserError
from src.gallery.features import features_gallery
from src.pipeline.embed import embed
from tests.support.own_vectors import embedded, own, saved
from tests.support.processes import Fork, Point, announce
from tests.support.ranked_run import clustered


@pytest.mark.parametrize("kind", ["f2", "f4", ">f8", "i1", "u2", "i8", "?"])
def test_numbers_of_any_type_become_those_of_float32(tmp_path: Path, kind: str) -> None:
    rows = (np.random.default_rng(0).random((5, 3)) * 3).astype(kind)
    found = embedded(own(tmp_path / "outputs", saved(tmp_path, rows)))
    np.testing.assert_array_equal(found.features, rows.astype(np.float32))
    assert found.features.dtype == np.float32


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "compressed.npz", "x.parquet"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_many_blocks_and_of_a_sample_are_those_of_the_file(
    tmp_path: Path, name: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("numpy_vectors", "parquet_vectors"):
        monkeypatch.setattr(f"src.gallery.{module}.BLOCK_NUMBERS", 30)  # ten rows
    rows = np.asarray(np.random.default_rng(0).random((47, 3)), order=order)
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, rows)
    elif name.endswith(".npz"):
        (np.savez_compressed if "compressed" in name else np.savez)(path, features=rows)
    else:
        pytest.importorskip("pyarrow")
        pd.DataFrame({"vector": list(rows)}).to_parquet(path)
    whole = embedded(own(tmp_path / "outputs", path))
    np.testing.assert_array_equal(whole.features, rows.astype(np.float32))
    some = embedded(own(tmp_path / "outputs", path, limit=9))
    assert len(some.gallery) == 9
    kept = list(map(int, some.gallery.works["image_id"]))
    np.testing.assert_array_equal(some.features, rows[kept].astype(np.float32))
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.rglob("copy.npy"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.nan, "row 7 holds nan, .* leave the row out"),
        (-np.inf, "row 7 holds -inf, .* leave the row out"),
        (1e39, r"row 7 holds 1e\+39, .* scale all rows"),
    ],
)
def test_a_number_that_is_none_is_named_with_its_row(
    tmp_path: Path, value: float, text: str
) -> None:
    rows = np.random.default_rng(0).random((9, 3))
    rows[7, 1] = value
    with pytest.raises(UserError, match=text):
        embedded(own(tmp_path / "outputs", saved(tmp_path, rows)))
    assert not list(tmp_path.rglob("features.npy"))


def test_a_row_that_float32_would_turn_to_zeros_is_named_and_zeros_are_not(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((9, 3))
    rows[3] = 0
    np.testing.assert_array_equal(
        embedded(own(tmp_path / "outputs", saved(tmp_path, rows))).features[3], 0
    )
    rows[4] = 1e-60
    with pytest.raises(UserError, match=r"row 4 holds 1e-60, .* scale all rows"):
        embedded(own(tmp_path / "outputs", saved(tmp_path, rows)))


@pytest.mark.parametrize("numbers", [2**20, 2], ids=["one block", "a row each"])
def test_an_id_is_named_beside_the_row(
    tmp_path: Path, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.gallery.numpy_vectors.BLOCK_NUMBERS", numbers)
    rows = np.ones((3, 2))
    rows[2, 0] = np.nan
    np.savez(tmp_path / "x.npz", features=rows, ids=["a", "b", "monet\x1b"])
    with pytest.raises(UserError, match=r"row 2 \(monet\\x1b\) holds nan"):
        embedded(own(tmp_path / "outputs", tmp_path / "x.npz"))


def test_names_of_files_that_are_not_utf8_stay_as_they_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", features=np.eye(2), files=np.array([b"a", b"\xfc.jpg"]))
    found = embedded(own(tmp_path / "outputs", tmp_path / "x.npz"))
    assert list(map(os.fsencode, np.load(found.folder / "image_names.npy"))) == [b"a", b"\xfc.jpg"]


def test_rows_are_converted_once_and_again_when_the_file_has_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = saved(tmp_path, clustered())
    cfg = own(tmp_path / "outputs", path)
    first, second = embedded(cfg), embedded(cfg)
    assert (first.facts["reused_embeddings"], second.facts["reused_embeddings"]) == (False, True)
    assert first.folder == second.folder
    saved(tmp_path, clustered() + np.float32(1))  # the same name, the same shape
    third = embedded(cfg)
    assert third.folder != first.folder
    np.testing.assert_array_equal(third.features, clustered() + np.float32(1))
    np.testing.assert_array_equal(first.features, clustered())  # an earlier run keeps its rows


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("f8", "float64 becomes float32: each number is rounded, by up to 6e-8 of it"),
        (">f8", "float64 becomes float32: each number is rounded"),
        ("u4", "uint32 becomes float32: integers beyond 2**24 are rounded"),
        ("i8", "int64 becomes float32: integers beyond 2**24 are rounded"),
        ("f4", ""),
        ("i2", ""),
    ],
)
def test_what_a_conversion_loses_is_logged(
    tmp_path: Path, kind: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    embedded(own(tmp_path / "outputs", saved(tmp_path, np.abs(clustered() * 9).astype(kind))))
    assert text in caplog.text
    assert ("becomes float32" in caplog.text) == bool(text)


def test_what_columns_of_parquet_lose_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("pyarrow")
    caplog.set_level("INFO")
    pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]}).to_parquet(tmp_path / "x.parquet")
    embedded(own(tmp_path / "outputs", tmp_path / "x.parquet"))
    assert "double becomes float32: each number is rounded" in caplog.text


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("features.npy", clustered()[:-1]),
        ("features.npy", clustered().astype(np.float64)),
        ("options.yaml", "backbone: vectors\n"),
    ],
    ids=["fewer", "float64", "options"],
)
def test_damaged_cached_rows_are_named(
    tmp_path: Path, vectors: Path, file: str, content: Any
) -> None:
    found = embedded(own(tmp_path / "outputs", vectors))
    if isinstance(content, str):
        (found.folder / file).write_text(content)
    else:
        np.save(found.folder / file, content)
    with pytest.raises(UserError, match="is damaged: delete that folder"):
        embedded(own(tmp_path / "outputs", vectors))


def test_cached_rows_are_called_as_the_table_calls_them_now(tmp_path: Path, vectors: Path) -> None:
    table = tmp_path / "labels.csv"
    for suffix in ("jpg", "png"):
        names = [f"{number}.{suffix}" for number in range(60)]
        table.write_text("\n".join(["file", *names]))
        found = embedded(own(tmp_path / "outputs", vectors, table))
        assert list(np.load(found.folder / "image_names.npy")) == found.gallery.files == names


@pytest.mark.parametrize("later", [clustered(61), -clustered()], ids=["longer", "as long"])
def test_a_file_that_changes_during_the_run_is_no_result(
    tmp_path: Path, vectors: Path, later: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_and_change(*arguments: Any) -> None:
        """Write the rows, then change their source."""
        write(*arguments)
        saved(tmp_path, later)

    write = own_vectors._write
    monkeypatch.setattr(own_vectors, "_write", write_and_change)
    with pytest.raises(UserError, match="was changed during the run"):
        embedded(own(tmp_path / "outputs", vectors))
    assert not list(tmp_path.rglob("features.npy"))


def test_rows_that_are_gone_when_they_are_converted_are_a_change(
    tmp_path: Path, vectors: Path
) -> None:
    cfg = own(tmp_path / "outputs", vectors)
    assert isinstance(cfg.data, Features)
    gallery = features_gallery(cfg.data, 0, tmp_path / "outputs")
    saved(tmp_path, clustered(20))
    with pytest.raises(UserError, match="was changed during the run"):
        embed(gallery, cfg)


def convert_to_be_killed(outputs: str, path: str, point: Point) -> None:
    """As the body of a child: convert up to the point."""
    point.arm()
    embedded(own(Path(outputs), Path(path)))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_conversion_that_is_killed_leaves_no_rows_and_is_done_again(
    tmp_path: Path, vectors: Path, fork: Fork, when: Any
) -> None:
    point = Point("replace", when=when, name="options.yaml")
    process = fork(convert_to_be_killed, str(tmp_path / "outputs"), str(vectors), point)
    process.kill_at_announcement()
    assert not list(tmp_path.glob("outputs/embeddings/*/*/vectors"))
    found = embedded(own(tmp_path / "outputs", vectors))
    np.testing.assert_array_equal(found.features, clustered())
    assert not list(tmp_path.rglob("*.part"))


def convert_and_wait(outputs: str, path: str) -> None:
    """As the body of a child: announce that the folder is locked, and wait to be killed."""
    own_vectors._write = lambda *_: announce("writes")  # type: ignore[assignment]
    embedded(own(Path(outputs), Path(path)))


def convert(outputs: str, path: str) -> None:
    """As the body of a child: convert, and note whether the rows were cached."""
    found = embedded(own(Path(outputs), Path(path)))
    assert np.array_equal(found.features, clustered())


def test_of_two_runs_at_once_one_waits_for_the_other(
    tmp_path: Path, vectors: Path, fork: Fork
) -> None:
    first = fork(convert_and_wait, str(tmp_path / "outputs"), str(vectors))
    assert first.wait_for_announcement() == "writes"
    second = fork(convert, str(tmp_path / "outputs"), str(vectors))
    first.close()  # it dies with the lock, and what it has written
    second.wait_for_success()
    (folder,) = tmp_path.glob("outputs/embeddings/*/*/vectors")
    assert np.array_equal(np.load(folder / "features.npy"), clustered())
