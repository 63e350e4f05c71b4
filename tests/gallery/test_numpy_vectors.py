"""Vectors in numpy's files: what is read, and how each file that cannot be is refused."""

import io
import os
import re
import struct
import tempfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib import format as npy

from src.errors import UserError
from src.gallery import vectors as bounds
from src.gallery.vector_files import open_vectors
from src.gallery.vectors import Ids
from tests.support.vector_files import ROWS, contents


def header(shape: tuple[int, ...], kind: str = "<f4", rest: bytes = b"") -> bytes:
    """Return the start of a .npy file of this shape, and what follows it."""
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue() + rest


def test_a_matrix_by_columns_or_rows_is_read_from_npy(tmp_path: Path) -> None:
    for order in ("C", "F"):
        np.save(tmp_path / "x.npy", np.asarray(ROWS, order=order))
        found = open_vectors(tmp_path / "x.npy")
        assert (found.n, found.d, found.dtype, found.ids) == (4, 3, "float32", None)
        np.testing.assert_array_equal(contents(tmp_path / "x.npy"), ROWS)
        (tmp_path / "scratch.npy").unlink(missing_ok=True)


def test_the_content_tells_what_a_file_is_not_its_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=ROWS)
    renamed = (tmp_path / "x.npz").rename(tmp_path / "x.npy")
    np.testing.assert_array_equal(contents(renamed), ROWS)


@pytest.mark.parametrize("name", ["id", "ids", "files", "names", "image_names"])
@pytest.mark.parametrize(
    "values", [["a", " b ", "ç", "d"], np.array([b"a", b"b", "ç".encode(), b"d"]), [1, 2, 30, 4]]
)
def test_ids_of_an_npz_are_texts_or_whole_numbers(tmp_path: Path, name: str, values: Any) -> None:
    np.savez_compressed(tmp_path / "x.npz", **{name: np.array(values), "x": ROWS})
    found = open_vectors(tmp_path / "x.npz").ids
    column = "id" if name.startswith("id") else "file"
    assert found is not None and found.column == column
    assert found.texts in (["a", "b", "ç", "d"], ["1", "2", "30", "4"])


def test_of_several_matrices_the_one_with_the_known_name_counts(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", other=ROWS + 1, embeddings=ROWS, scalar=np.float64(3))
    np.testing.assert_array_equal(contents(tmp_path / "x.npz"), ROWS)


def test_names_of_images_beside_the_features_of_a_run_are_ids(tmp_path: Path) -> None:
    np.save(tmp_path / "features.npy", ROWS)
    np.save(tmp_path / "image_names.npy", np.array(["a/1.jpg", "b", "c", "d"]))
    found = open_vectors(tmp_path / "features.npy").ids
    assert found == Ids(["a/1.jpg", "b", "c", "d"], "file")
    np.save(tmp_path / "other.npy", ROWS)
    assert open_vectors(tmp_path / "other.npy").ids is None
    np.save(tmp_path / "features.npy", ROWS[:3])
    with pytest.raises(UserError, match="image_names.npy beside it has 4 entries for 3 rows"):
        open_vectors(tmp_path / "features.npy")


def saved(**arrays: Any) -> bytes:
    """Return a .npz file of arrays."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    return file.getvalue()


def array(values: Any) -> bytes:
    """Return a .npy file."""
    file = io.BytesIO()
    np.save(file, values, allow_pickle=True)
    return file.getvalue()


def zipped(**members: bytes) -> bytes:
    """Return a zip file of members, whose suffix is .npy."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def texts_zipped() -> bytes:
    """Return a zip file without arrays."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "no array")
    return file.getvalue()


LONG_HEADER = "its header has 2147483648 bytes, but at most 10000 are read"
OBJECTS = np.array([[1, 2], [3, 4]], dtype=object)
REFUSED = {
    "empty": (b"", "it is empty"),
    "text": (b"1,2,3\n4,5,6\n", "its content is none of .npy, .npz, .parquet"),
    "pickle": (b"\x80\x04K\x01.", "its content is none of"),
    "flat": (array(np.ones(6)), "its shape is (6,), but (n, d) is needed: np.stack"),
    "number": (array(np.float32(1)), "its shape is (), but (n, d) is needed"),
    "deep": (array(np.ones((2, 2, 2))), "its shape is (2, 2, 2), but (n, d) is needed: x.reshape"),
    "one row": (array(np.ones((1, 3))), "it has 1 rows, but 2 to 10,000,000 can be compared"),
    "no rows": (array(np.ones((0, 3))), "it has 0 rows, but 2 to"),
    "no numbers": (array(np.ones((3, 0))), "its rows have 0 numbers, but 1 to 100,000"),
    "wide": (header((2, 10**6)), "its rows have 1000000 numbers, but 1 to 100,000"),
    "objects": (array(OBJECTS), "holds Python objects, which are not loaded"),
    "texts": (array(np.array([["a"], ["b"]])), "its values are <U1, but integers or floats"),
    "complex": (array(np.ones((2, 2)) * 1j), "its values are complex128, but integers or floats"),
    "dates": (array(np.zeros((2, 2), "M8[s]")), "but integers or floats of up to 64 bits"),
    "long": (array(np.ones((2, 2), np.longdouble)), "up to 64 bits are needed: save x.astype"),
    "fields": (array(np.zeros((2, 2), [("a", "f4")])), "but integers or floats"),
    "bfloat16": (header((2, 2), "|V2", b"\0" * 8), "its values are |V2, but integers or floats"),
    "huge": (header((10**12, 2)), "it has 1000000000000 rows, but 2 to 10,000,000"),
    "negative": (header((-2, -2), rest=bytes(16)), "it has -2 rows"),
    "cut off": (array(ROWS)[:-5], "4 rows of 3 float32 take 48 bytes, but 43 are there: it is cut"),
    "longer": (array(ROWS) + b"more", "take 48 bytes, but 52 are there"),
    "version": (b"\x93NUMPY\x09\x00" + bytes(40), "version (9, 0) of the format"),
    "long header": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b" " * 99, LONG_HEADER),
    "spaces": (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 30_000) + b" " * 30_000,
        "30000 bytes, but",
    ),
    "npz of objects": (saved(x=OBJECTS), "holds Python objects, which are not loaded"),
    "ids of objects": (
        saved(x=ROWS, ids=np.array(["a", "b", "c", "d"], dtype=object)),
        "ids holds Python objects, which are not loaded because that runs code in them: save"
        " ids.astype(str)",
    ),
    "ids of floats": (saved(x=ROWS, id=np.ones(4)), "id has shape (4,) of float64, but a text"),
    "ids of ids": (saved(x=ROWS, id=np.ones((4, 2), int)), "id has shape (4, 2) of int64"),
    "few ids": (saved(x=ROWS, names=["a"]), "names has 1 entries for 4 rows"),
    "many ids": (saved(x=ROWS, ids=list("abcd"), names=list("abcd")), "several arrays of ids"),
    "two matrices": (saved(a=ROWS, b=ROWS), "several matrices, a, b: keep one of them"),
    "two names": (saved(features=ROWS, vectors=ROWS), "several matrices, features, vectors"),
    "only ids": (saved(ids=np.arange(4)), "it has ids, but no matrix: add features=x"),
    "flat npz": (saved(x=np.ones(6)), "its shape is (6,), but (n, d) is needed"),
    "zip of texts": (texts_zipped(), "it is a zip file without arrays"),
    "long names": (zipped(**{f"{n}{'x' * 60_000}": b"" for n in range(20)}), "too many arrays"),
    "cut off zip": (saved(x=ROWS)[:-30], "not a zip file"),
    "bomb of a header": (
        zipped(x=b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**30) + b" " * 2**24),
        "its header has 1073741824 bytes",
    ),
    "bomb of rows": (zipped(x=header((10**7, 10**5)) + bytes(2**24)), "take 4000000000000 bytes"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_matrix_of_numbers_is_refused_in_one_line(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(UserError, match=re.escape(reason)) as caught:
        open_vectors(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(caught.value).startswith(f"data.features={path} cannot be read: ")
    assert "\n" not in str(caught.value)
    assert peak < 2**26  # whatever a header claims


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(UserError, match="is not a regular file"):
        open_vectors(path)


def test_an_array_that_does_not_fit_on_the_disk_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1000, 100)))
    found = open_vectors(tmp_path / "x.npz")
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("src.gallery.numpy_vectors.shutil.disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"unpacked it takes 800.1 kB, but .* has 1.0 kB free"):
        next(found.blocks(tmp_path / "scratch.npy"))


def test_an_array_of_ids_that_takes_much_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_ID_BYTES", 100)
    np.savez(tmp_path / "x.npz", x=ROWS, ids=["a" * 40, "b", "c", "d"])
    with pytest.raises(UserError, match="ids takes more than 100 bytes"):
        open_vectors(tmp_path / "x.npz")


def test_a_file_that_changes_after_it_was_opened_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    found = open_vectors(tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", ROWS[:2])
    with pytest.raises(UserError, match="it was changed while it was read"):
        next(found.blocks(tmp_path / "scratch.npy"))


def test_a_header_that_python_2_wrote_is_read(tmp_path: Path) -> None:
    start = header((4, 3)).replace(b"(4, 3), }  ", b"(4L, 3L), }")
    (tmp_path / "x.npy").write_bytes(start + ROWS.tobytes())
    np.testing.assert_array_equal(contents(tmp_path / "x.npy"), ROWS)


def test_ids_of_bytes_that_are_not_utf8_are_names_of_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=ROWS, files=np.array([b"a", b"b", b"\xfc.jpg", b"d"]))
    found = open_vectors(tmp_path / "x.npz").ids
    assert found is not None and os.fsencode(found.texts[2]) == b"\xfc.jpg"


def test_too_little_memory_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="it needs more memory than there is"),
        bounds.named(tmp_path),
    ):
        raise MemoryError


@given(st.data())
def test_a_file_of_which_bytes_were_changed_is_read_or_refused(data: st.DataObject) -> None:
    kinds = [array(ROWS), saved(features=ROWS, ids=list("abcd")), zipped(x=array(ROWS))]
    content = bytearray(data.draw(st.sampled_from(kinds)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.npy")
        path.write_bytes(content)
        try:
            rows = contents(path)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert rows.ndim == 2 and len(rows) >= 2
