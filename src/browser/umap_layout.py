"""The UMAP layout of a run, computed in a process of its own, where it stops no page.

umap-learn holds Python's lock while it works, and its import takes 13 seconds of compiling.
n = images, k = neighbors of each.
"""

import multiprocessing
import warnings
from importlib import import_module
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from src.errors import UserError
from src.reporting.compared import principal_components
from src.reporting.run_folder import RunFolder

INSTALL = "pip install -e '.[umap]'"
NEIGHBORS = 15  # of each image, itself included: umap-learn's default
ENOUGH = 10  # the run's own list is used from so many on, itself included
WIDTH = 50  # principal components in which neighbors are searched where the list is shorter
MIN_IMAGES = 4
SEED = 0


def is_installed() -> bool:
    """Return whether umap-learn is there, without importing it."""
    return find_spec("umap") is not None


def estimated_seconds(n: int) -> int:
    """Return about how long the layout of n images takes on one core."""
    return 12 + n // 3500


def umap_layout(run: RunFolder) -> NDArray[np.float32]:
    """Return where each image lies, (n, 2): seeded, and begun from the principal components.

    The neighbors are the run's own, which are exact, if it has stored enough of them. Raises
    UserError for fewer than MIN_IMAGES, or if the features are gone.
    """
    index, score = run.neighbors()
    n, k = index.shape
    if n < MIN_IMAGES:
        raise UserError(f"UMAP needs at least {MIN_IMAGES} images, and the run has {n}")
    points = principal_components(run.compared(), WIDTH, SEED)
    if not np.ptp(points, axis=0).any():
        return points[:, :2]  # all features are equal
    wanted = min(NEIGHBORS, n - 1)
    is_enough = k + 1 >= min(wanted, ENOUGH)
    count = min(wanted, k + 1) if is_enough else wanted
    known = _with_itself(index, score, count) if is_enough else (None, None)
    with warnings.catch_warnings(action="ignore"):  # of what a layout does not need
        mapper = import_module(
            "umap"
        ).UMAP(  # it has no types
            n_neighbors=count,
            init=points[:, :2],
            precomputed_knn=known,
            random_state=SEED,
            n_jobs=1,
        )
        return np.asarray(mapper.fit_transform(points), np.float32)


def _with_itself(
    index: NDArray[np.int32], score: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the `count` nearest of each image, itself first, and their distances: (n, count).

    The distance of two rows of length 1 is sqrt(2 - 2 cosine). csls stores them in another order.
    """
    order = np.argsort(-score, axis=1, kind="stable")
    nearest = np.take_along_axis(index, order, 1)
    cosines = np.take_along_axis(score, order, 1)
    own = np.arange(len(index), dtype=index.dtype)[:, None]
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 0))
    indices = np.concatenate([own, nearest], axis=1)[:, :count]
    return indices, np.concatenate([np.zeros_like(own, distances.dtype), distances], 1)[:, :count]


def umap_in_process(folder: Path) -> NDArray[np.float32]:
    """Return umap_layout of the run in folder, from another process, which ends with this one.

    Raises UserError with what went wrong.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_layout, args=(sender, folder), daemon=True)
    process.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError:
        process.join()
        code = process.exitcode
        raise UserError(f"its process ended with code {code}; is memory short?") from None
    process.join()
    if isinstance(result, str):
        raise UserError(result)
    return np.asarray(result)


def _send_layout(sender: Connection, folder: Path) -> None:
    """Send the layout of the run in folder, or a text that says why there is none."""
    try:
        sender.send(umap_layout(RunFolder(folder)))
    except Exception as error:  # whatever a library raises is shown on the page
        sender.send(str(error) or type(error).__name__)
