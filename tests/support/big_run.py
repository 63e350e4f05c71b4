"""Write a finished run over many invented paintings, without any network, in seconds.

Paintings stand in clusters, one after the other. A painting's neighbors are the nearest of its own
cluster, with the cosines of the features that are written.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from src.evaluation.hubness import k_occurrence, near_duplicates
from src.gallery import Gallery
from src.gallery.gallery import write_gallery
from src.io.files import sha256
from src.io.outputs import Outputs
from src.reporting.run_folder import RunFolder
from src.similarity import Neighbors

CLUSTER = 50  # paintings
METRICS = ("map_at_10", "precision_at_1", "precision_at_5", "precision_at_10")
WORDS = (
    *("Été", "Seine", "jardin", "Weiß", "Straße", "El Niño", "富嶽三十六景", "Красный", "حديقة"),
    *("Landscape", "Portrait", "River", "Bridge", "Winter", "Girl", "Flute", "Self-Portrait"),
    *("Study", "Village", "Morning", "Storm", "Madonna", "Child", "Harbor", "Still Life"),
)
NAMES = ("José Ramírez", "Édouard Manet", "葛飾北斎", "Иван Шишкин", "Dürer", "Smith", "van Dyck")
LABELS = {  # number of values of a label column
    **dict(artist=7000, classification=9, school=60, style=120, theme=300, technique=200),
    **dict(nationality=70, decade=90, medium=900, department=12),
}


@dataclass(frozen=True)
class Size:
    """How large the run is."""

    n: int = 122_477
    d: int = 64
    k: int = 10


def write_big_run(outputs: Path, size: Size, images: Path | None = None, files: int = 0) -> Path:
    """Return the folder of a new run over size.n paintings below outputs.

    With images, that folder gets n pictures, which are hard links to `files` drawn ones.
    """
    draw = np.random.default_rng(0)
    works = _works(size.n, draw)
    if images is not None:
        works["sha256"] = _link_pictures(images, list(works["file"]), files, draw)
    gallery = write_gallery("folder", images or outputs / "none", works, {"n": size.n}, outputs)
    embeddings = Outputs(outputs).embeddings / gallery.name / "invented" / "layer4"
    embeddings.mkdir(parents=True)
    np.save(embeddings / "image_names.npy", np.array(gallery.files))
    neighbors = _write_features(embeddings / "features.npy", size, draw)
    run = RunFolder(Outputs(outputs).runs / "2026-01-01" / "12-00-00-000000")
    _write_settings(run.path, size.k)
    folder = Outputs(outputs).galleries / gallery.name
    labels = gallery.label_fingerprints()
    run.write_paths(folder, embeddings, None, gallery.fingerprint(), labels)
    _write_results(run, gallery, neighbors, draw)
    return run.path


def _works(n: int, draw: np.random.Generator) -> pd.DataFrame:
    """Return invented rows of works.csv, texts as long as those of a museum."""
    ids = [f"{number * 2654435761 % 2**32:08x}-0000-4000-8000-{number:012x}" for number in range(n)]
    words = np.array(WORDS)[draw.integers(0, len(WORDS), (n, 4))]
    columns: dict[str, list[str]] = {
        "image_id": ids,
        "file": [f"{image_id[:2]}/{image_id}.jpg" for image_id in ids],
        "object_id": [str(number // 2 + 1000) for number in range(n)],
        "title": [f"{' '.join(row)} ({number})" for number, row in enumerate(words)],
        "date": [f"c. {year}" for year in draw.integers(1400, 2000, n)],
        "width": ["300"] * n,
        "height": ["256"] * n,
        "page": [f"https://www.nga.gov/artworks/{number}" for number in range(n)],
        "iiif": [f"https://api.nga.gov/iiif/{image_id}" for image_id in ids],
        "wikidata": [f"Q{number}" for number in range(n)],
        "url": [f"https://api.nga.gov/iiif/{image_id}/full/!256,256/0/a.jpg" for image_id in ids],
        "sha256": [f"{number:064x}" for number in range(n)],
        "assistive_text": [f"A painting of {row[0]} and {row[1]}, seen from afar" for row in words],
    }
    places = np.arange(n) // CLUSTER
    for column, values in LABELS.items():
        stray = draw.integers(0, values, n)
        codes = np.where(draw.random(n) < 0.7, places * 31 % values, stray)
        columns[column] = [_value(column, code) for code in codes.tolist()]
    return pd.DataFrame(columns, dtype=object)


def _value(column: str, code: int) -> str:
    """Return the text of a label; one value of each column is unknown."""
    if code == 0:
        return ""
    return f"{NAMES[code % len(NAMES)]} {code}" if column == "artist" else f"{column} {code}"


def _link_pictures(
    images: Path, files: list[str], count: int, draw: np.random.Generator
) -> list[str]:
    """Draw pictures and link each file to one of them; return the checksum of each file."""
    originals = images / "originals"
    originals.mkdir(parents=True)
    paths = [originals / f"{number}.jpg" for number in range(count)]
    for path in paths:
        coarse = draw.integers(0, 256, (24, 20, 3), np.uint8)
        smooth = Image.fromarray(coarse).resize((300, 256), Image.Resampling.BICUBIC)
        noise = np.asarray(smooth, np.int16) + draw.integers(-12, 12, (256, 300, 3), np.int16)
        Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(path, quality=85)
    checksums = list(map(sha256, paths))
    for folder in {Path(file).parent for file in files}:
        (images / folder).mkdir(parents=True)
    for number, file in enumerate(files):
        (images / file).hardlink_to(paths[number % count])
    shutil.rmtree(originals)
    return [checksums[number % count] for number in range(len(files))]


def _write_features(path: Path, size: Size, draw: np.random.Generator) -> Neighbors:
    """Write rows of features in clusters; return each row's nearest in its own cluster."""
    features = np.lib.format.open_memmap(path, "w+", np.float32, (size.n, size.d))
    index = np.empty((size.n, size.k), np.int32)
    score = np.empty((size.n, size.k), np.float32)
    starts = list(range(0, size.n, CLUSTER))
    if len(starts) > 1 and size.n - starts[-1] <= size.k:
        starts.pop()  # the last ones are too few for so many neighbors
    for start, end in zip(starts, [*starts[1:], size.n], strict=True):
        center = draw.random(size.d, np.float32) ** 4
        rows = center + 0.5 * draw.random((end - start, size.d), np.float32) ** 4
        features[start:end] = rows
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -2)
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, : size.k]
        index[start:end] = start + nearest
        score[start:end] = np.take_along_axis(cosines, nearest, 1)
    features.flush()
    return Neighbors(index, score, 0)


def _write_results(
    run: RunFolder, gallery: Gallery, neighbors: Neighbors, draw: np.random.Generator
) -> None:
    """Write neighbors, hubs, near-duplicates and metrics."""
    n = len(gallery)
    run.write_neighbors(neighbors.index, neighbors.score, gallery.files)
    values = {
        f"{label}/{name}": draw.random(n) for label in gallery.label_columns() for name in METRICS
    }
    run.write_queries(values)
    occurrence = k_occurrence(neighbors.index)
    hubs = np.argsort(-occurrence, kind="stable")[:20]
    run.write_hubs((gallery.files[row], int(occurrence[row])) for row in hubs)
    pairs, scores = near_duplicates(neighbors, float(np.quantile(neighbors.score, 0.9999)))
    named = [(gallery.files[one], gallery.files[two]) for one, two in pairs.tolist()]
    run.write_near_duplicates(
        (score, *names) for score, names in zip(scores.tolist(), named, strict=True)
    )
    means = {name: float(array.mean()) for name, array in values.items()}
    run.write_metrics({"images": n, "skipped": 0, "intra": float(neighbors.score.mean()), **means})


def _write_settings(folder: Path, k: int) -> None:
    """Write the options as Hydra does."""
    (folder / ".hydra").mkdir(parents=True)
    options = {
        "data": {"images": "/home/somebody/paintings", "image_size": "256"},
        "backbone": {"name": "resnet50", "weights": "IMAGENET1K_V2", "layer": "layer4"},
        "similarity": {"top_k": k, "postprocess": "none", "ranking": "cosine"},
        "outputs": "outputs",
    }
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(options))
    (folder / ".hydra" / "overrides.yaml").write_text(json.dumps(["data=folder"]))
