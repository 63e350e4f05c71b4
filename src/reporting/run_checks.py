"""Checks of what is read from a run's folder, which anybody may have written.

Each raises UserError with the name of the file. n = images, k = neighbors of each.
"""

import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.errors import UserError
from src.io.arrays import read_npy, read_npz
from src.io.bounded import damaged, read_json, read_tail, read_yaml

MAX_COUNT = 2**53  # up to which a floating-point number tells integers apart
MAX_LOGS = 20  # of a run that are read


@contextmanager
def told_if_deleted(what: str) -> Iterator[None]:
    """Raise UserError, with the way back, if a file that the block reads was deleted.

    `what` are the things of the run that it belongs to, in the plural.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(
            f"the run's {what} are gone, {os.path.realpath(error.filename)}: the command of the"
            " run, given again, brings them back"
        ) from error


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the content of metrics.json, without numbers that are NaN or infinite."""
    metrics = read_json(path)
    if not isinstance(metrics, dict):
        raise damaged(path, "not a mapping")
    for name, value in metrics.items():
        if not _is_encodable(name) or isinstance(value, str) and not _is_encodable(value):
            raise damaged(path, "a name or a text that no file can hold")
        is_huge = isinstance(value, int) and abs(value) > MAX_COUNT
        if is_huge or not isinstance(value, float | int | str | None):
            raise damaged(path, f"{name} is no plain value")
        if isinstance(value, str | bool) and "/" in name:  # a metric of a label, or a duration
            raise damaged(path, f"{name} is not a number")
    finite = {n: v for n, v in metrics.items() if not isinstance(v, float) or math.isfinite(v)}
    return _with_names_of_today(finite)


def read_results(path: Path) -> dict[str, Any]:
    """Return the content of results.json."""
    results = read_json(path)
    if not isinstance(results, dict):
        raise damaged(path, "not a mapping")
    return results


def _with_names_of_today(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return metrics without those of an earlier version that had another meaning.

    Before there was <label>/map, label_auc was what label_auc_sampled is, and r_precision that of
    the queries whose lists of neighbors were long enough.
    """
    renamed = {}
    for name, value in metrics.items():
        label, _, metric = name.rpartition("/")
        is_earlier = f"{label}/map" not in metrics
        if is_earlier and metric == "label_auc":
            renamed[f"{name}_sampled"] = value
        elif not (label and is_earlier and metric.startswith("r_precision")):
            renamed[name] = value
    return renamed


def _is_encodable(text: str) -> bool:
    """Return whether UTF-8 can write a text: it has no half of a pair of surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_mapping(path: Path) -> dict[str, Any]:
    """Return a YAML file of nested names and values, {} if it is missing or empty.

    It is empty while Hydra writes it.
    """
    content = (read_yaml(path) if path.exists() else None) or {}
    if not isinstance(content, dict) or not _has_text_names(content):
        raise damaged(path, "not a mapping of names to values")
    return content


def _has_text_names(value: Any) -> bool:
    """Return whether all names in nested mappings are texts."""
    if not isinstance(value, dict):
        return True
    return all(isinstance(name, str) and _has_text_names(inner) for name, inner in value.items())


def read_texts(path: Path) -> list[str]:
    """Return a YAML file that is a list of texts, [] if it is missing or empty."""
    content = (read_yaml(path) if path.exists() else None) or []
    if not isinstance(content, list) or not all(isinstance(text, str) for text in content):
        raise damaged(path, "not a list of texts")
    return content


def read_paths(path: Path) -> dict[str, Any]:
    """Return the content of paths.yaml: texts, but for labels, which is a mapping of texts."""
    paths = read_mapping(path)
    labels = paths.get("labels", {})
    texts = [value for name, value in paths.items() if name != "labels"]
    texts += labels.values() if isinstance(labels, dict) else [labels]
    if not all(isinstance(text, str) for text in texts):
        raise damaged(path, "a path or a hash is no text")
    if not all(map(_can_name_a_file, texts)):
        raise damaged(path, "a path or a hash that no file can have as its name")
    if paths and "gallery" not in paths:
        raise damaged(path, "it names no gallery")
    return paths


def _can_name_a_file(text: str) -> bool:
    """Return whether a text can be a path; its bytes need not be UTF-8."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def read_neighbors(path: Path) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return index (n, k), each from 0 to n - 1, and score (n, k) from neighbors.npz."""
    arrays = read_npz(path, ["index", "score"])
    if len(arrays) < 2:
        raise damaged(path, "it lacks index or score")
    index, score = arrays["index"], arrays["score"]
    if (index.dtype.kind, score.dtype.kind) != ("i", "f") or index.shape != score.shape:
        raise damaged(path, "index and score do not fit each other")
    if index.ndim != 2 or not index.size or index.min() < 0 or index.max() >= len(index):
        raise damaged(path, "index is no table of rows")
    return index, score


def read_query_values(path: Path, metric: str, n: int) -> NDArray[np.float64] | None:
    """Return a metric's value for each query (n,) from queries.npz; None if it has none."""
    values = read_npz(path, [metric]).get(metric)
    if values is None:
        return None
    if values.shape != (n,) or values.dtype.kind != "f" or np.isinf(values).any():
        raise damaged(path, f"{metric} is not a number for each of {n} images")
    return values.astype(np.float64)


def read_postprocess(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return mean (d,) and axes (d, m), None for a run that only centers, of postprocess.npz."""
    arrays = read_npz(path, ["mean", "axes"])
    mean, axes = arrays.get("mean"), arrays.get("axes")
    if mean is None or mean.ndim != 1 or not _is_finite(mean):
        raise damaged(path, "it has no mean of the features")
    if axes is not None and (axes.ndim != 2 or len(axes) != len(mean) or not _is_finite(axes)):
        raise damaged(path, "its axes do not fit its mean")
    return mean, axes


def read_penalty(path: Path, n: int) -> NDArray[np.float64]:
    """Return what csls subtracts from the score of each image, (n,)."""
    if not path.is_file():
        raise UserError(
            f"{path} is not there, as in runs of earlier versions: the command of the run, given"
            " again, writes it"
        )
    penalty = read_npy(path)
    if penalty.shape != (n,) or penalty.dtype != np.float64 or not _is_finite(penalty):
        raise damaged(path, f"not a number for each of {n} images")
    return penalty


def read_augmentation(
    path: Path, n: int
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float64]]:
    """Return index and score (n, k) of neighbors, and the length (n,) of the sums with them."""
    index, score = read_neighbors(path)
    length = read_npz(path, ["length"]).get("length")
    if index.shape != (n, index.shape[1]) or length is None or length.shape != (n,):
        raise damaged(path, f"it is not of {n} images")
    if not _is_finite(length) or not _is_finite(score):
        raise damaged(path, "it holds numbers that are not finite")
    if (length[length != 0] < 0.999).any():  # what is added points the same way
        raise damaged(path, "sums are shorter than their first part")
    return index.astype(np.int32), score.astype(np.float32), length.astype(np.float64)


def read_layout(path: Path, n: int) -> NDArray[np.float32]:
    """Return (n, 2) where each image lies on a map."""
    positions = read_npy(path)
    if positions.shape != (n, 2) or positions.dtype != np.float32 or not _is_finite(positions):
        raise damaged(path, f"not the positions of {n} images")
    return positions


def read_errors(paths: Sequence[Path]) -> list[str]:
    """Return the first line of each error in logs, in order."""
    logs = [path for path in paths if path.is_file()]
    text = "\n".join(read_tail(log).decode("utf-8", "replace") for log in logs[:MAX_LOGS])
    return re.findall(r"^\[.*\]\[ERROR\] - error: (.*)$", text, re.MULTILINE)


def _is_finite(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "f" and bool(np.isfinite(values).all())
