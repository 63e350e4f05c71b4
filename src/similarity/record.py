"""The record of a search, which resumes only with an equal one, and hashes of what it compares."""

import hashlib
from dataclasses import dataclass

import numpy as np
from torch import Tensor

FREE_TO_DIFFER = ("block",)  # fields in which a resumed search keeps the stored values


@dataclass(frozen=True)
class SearchRecord:
    """What its candidates and their bound depend on. Stored as JSON under these names."""

    features: str  # hash of the rows; empty if nothing is stored
    groups: str  # hash of the groups and the penalty
    precision: str
    block: int  # rows of a tile, by which finished tiles are numbered


def hash_of(*tensors: Tensor) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of the tensors' values, shapes and dtypes."""
    digest = hashlib.sha256()
    for tensor in tensors:
        array = tensor.contiguous().numpy()
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:16]
