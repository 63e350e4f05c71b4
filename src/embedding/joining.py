"""Layers joined: the rows of several layers side by side. Imports torch only to whiten them.

n = images, b = rows of a block, d = width of a row.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from src.config.layer_terms import Term, format_terms
from src.embedding.row_files import (
    CHECKSUMS,
    FEATURES,
    NAMES,
    SKIPPED,
    describe,
    read_options,
    read_texts,
)
from src.errors import UserError
from src.io.arrays import view_npy
from src.io.files import create_npy, temporary_name
from src.runtime.progress import progress

if TYPE_CHECKING:
    from src.similarity.postprocess import FittedPostprocess

WHITENED = "-whitened"  # end of the name of a folder whose layers were whitened
MAX_NAME = 150  # bytes: a folder's name may have 255, and while it is written more is added
HASHED = re.compile(r"\d+\+layers-[0-9a-f]{16}")
BLOCK = 1024  # rows joined at once; a multiple of the rows that are whitened at once


@dataclass(frozen=True)
class LayerJoin:
    """The layers whose rows, side by side, are the embedding; usually one, as it is."""

    terms: tuple[Term, ...]
    is_whitened: bool = False  # whether each layer's rows are whitened before

    @property
    def layers(self) -> list[str]:
        """Return the names of the layers, in order."""
        return [term.layer for term in self.terms]

    @property
    def shares(self) -> list[float] | None:
        """Return the share of each layer in the cosine, None if all are equal."""
        weights = [term.weight for term in self.terms]
        return [w / sum(weights) for w in weights] if len(set(weights)) > 1 else None

    @property
    def folder(self) -> str:
        """Return the name of the folder of the rows: the value of backbone.layer, and the join.

        Many layers are named by their number and a hash; options.yaml has their names.
        """
        name = format_terms(self.terms)
        if len(name.encode()) > MAX_NAME:
            name = f"{len(self.terms)}+layers-{sha256(name.encode()).hexdigest()[:16]}"
        return name + WHITENED * self.is_whitened

    @property
    def record(self) -> dict[str, str]:
        """Return what identifies the join in options.yaml; without whitening, the layer alone."""
        join = {"join": "whitened"} if self.is_whitened else {}
        return {"layer": format_terms(self.terms)} | join


def is_joined(folder: str) -> bool:
    """Return whether a folder of this name holds rows that are computed from other folders."""
    return "+" in folder or folder.endswith(WHITENED)


def layer_of(folder: Path) -> str:
    """Return the value of backbone.layer for a folder of rows, whose name may have only a hash.

    Raises UserError if the name does, and the folder is gone or damaged.
    """
    name = folder.name.removesuffix(WHITENED)
    if not HASHED.fullmatch(name):
        return name
    try:
        return str(read_options(folder)["layer"])
    except (FileNotFoundError, KeyError) as error:
        raise UserError(f"{folder} is gone or damaged: run the command of the run again") from error


def join_layers(join: LayerJoin, parent: Path, options: dict[str, Any]) -> None:
    """Write the joined rows of the layers in parent to parent/<join.folder>, unless it exists.

    options are those of all layers. Raises UserError if the layers do not hold the same images, or
    if a layer cannot be whitened.
    """
    folder, layers = parent / join.folder, [parent / layer for layer in join.layers]
    if folder.is_dir():
        return
    for other in layers[1:]:
        if (other / NAMES).read_bytes() != (layers[0] / NAMES).read_bytes():
            raise UserError(f"{other} and {layers[0]} hold different images: delete both folders")
    # copy on write: torch warns of arrays that cannot be written
    parts = {layer.name: view_npy(layer / FEATURES, "c") for layer in layers}
    temporary = temporary_name(folder)
    temporary.mkdir(parents=True)
    try:
        _write_joined(join, parts, temporary)
        for name in (NAMES, SKIPPED):
            shutil.copy(layers[0] / name, temporary / name)
        describe(temporary, options | join.record, read_texts(layers[0] / CHECKSUMS))
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_joined(join: LayerJoin, parts: Mapping[str, NDArray[np.float32]], folder: Path) -> None:
    """Write features.npy of the joined rows, and the whitening of each layer if there is any."""
    whitenings = None
    if join.is_whitened:
        from src.embedding.whitening import fit_whitening, write_whitening

        whitenings = fit_whitening(parts)
        write_whitening(folder, join.layers, whitenings)

    def rows(start: int, end: int) -> NDArray[np.float32]:
        """Return the joined rows from start to end."""
        return joined_rows([part[start:end] for part in parts.values()], join.shares, whitenings)

    n = len(parts[join.layers[0]])
    with (folder / FEATURES).open("x+b") as file:
        file.seek(create_npy(file, (n, rows(0, 1).shape[1]), np.float32))
        starts = range(0, n, BLOCK)
        for start in progress(starts, "joining layers", len(starts)):
            file.write(rows(start, start + BLOCK).tobytes())


def joined_rows(
    parts: Sequence[NDArray[np.float32]],
    shares: Sequence[float] | None = None,
    whitenings: "Sequence[FittedPostprocess] | None" = None,
) -> NDArray[np.float32]:
    """Return the rows of several layers, (b, d) each, side by side: (b, sum of all d).

    Each layer's row is whitened if whitenings are given, normalized, and multiplied by the root of
    its share, so that a joined row has unit length, and the cosine of two is the weighted mean of
    the cosines in each layer; a row of zeros stays zero. shares add up to 1; None: all are equal.
    """
    if whitenings is not None:
        import torch

        whitened = zip(parts, whitenings, strict=True)
        parts = [fitted(torch.from_numpy(part)).numpy() for part, fitted in whitened]
    units = [_normalized(part) for part in parts]
    if shares is None:  # as one division, which earlier versions did: the same last bits
        rows: NDArray[np.float64] = np.concatenate(units, 1) / np.sqrt(len(parts))
    else:
        roots = np.sqrt(shares)
        rows = np.concatenate([u * root for u, root in zip(units, roots, strict=True)], 1)
    return rows.astype(np.float32)


def _normalized(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return rows (b, d) scaled to unit length, rows of zeros unchanged."""
    wide = rows.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    norms[norms == 0] = 1
    wide /= norms
    return wide
