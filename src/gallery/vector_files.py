"""Files of vectors that anybody may have made: .npy, .npz and .parquet, read within bounds.

What a file is depends on its content, not on its name. Nothing is unpickled, and no header is
believed before it is compared with what is there.
"""

from pathlib import Path

from src.gallery.numpy_vectors import open_npy, open_npz
from src.gallery.parquet_vectors import open_parquet
from src.gallery.vectors import MAX_BYTES, Vectors, named, refused
from src.io.sources import open_source

# How the files begin, by kind
STARTS = {".npy": b"\x93NUMPY", ".npz": b"PK\x03\x04", ".parquet": b"PAR1"}


def open_vectors(path: Path) -> Vectors:
    """Return the matrix in a file.

    Raises UserError for what is no matrix of numbers, is damaged, or is larger than MAX_ROWS by
    MAX_WIDTH.
    """
    with named(path), open_source(path, MAX_BYTES) as file:
        start = file.read(max(map(len, STARTS.values())))
        file.seek(0)
        if start.startswith(STARTS[".npy"]):
            return open_npy(path, file)
        if start.startswith(STARTS[".npz"]):
            return open_npz(path, file)
        if start.startswith(STARTS[".parquet"]):
            return open_parquet(path)
    raise refused(path, f"its content is none of {', '.join(STARTS)}" if start else "it is empty")
