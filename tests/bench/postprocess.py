"""What post-processing does to retrieval, by layers of a network:

    python -m tests.bench.postprocess IMAGES LABELS.csv WEIGHTS.pth [--backbone squeezenet1_1]
        [--layers features.7,features.10,features.12] [--label artist] [--outputs outputs]

Each layer is embedded once; each is compared as it is, centered, and whitened.
"""

import argparse
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

from src.config import Backbone, Config, Similarity
from src.config.data import Folder
from src.config.enums import Postprocess
from src.embedding.cache import Embeddings
from src.evaluation.ranked_lists import RankedLists
from src.evaluation.relevance import Relevance
from src.evaluation.retrieval import retrieval
from src.gallery.folder import folder_gallery
from src.pipeline.embed import embed
from src.pipeline.prepare import postprocess
from src.similarity import top_k


def compared(embeddings: Embeddings, label: str) -> list[list[float]]:
    """Precision at 1 and at 10 by each post-processing."""
    gallery, found = embeddings.gallery, []
    for kind in Postprocess:
        options = Similarity(postprocess=kind)
        with TemporaryDirectory() as folder:
            features = postprocess(embeddings, options, Path(folder))
        index = top_k(features, 10).index
        relevance = Relevance(gallery.labels(label), [gallery.exclusion_groups(options)])
        metrics, _ = retrieval(label, relevance, RankedLists(index))
        found.append([metrics[f"{label}/precision_at_{depth}"] for depth in (1, 10)])
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m tests.bench.postprocess")
    for name in ("images", "labels", "weights"):
        parser.add_argument(name)
    parser.add_argument("--backbone", default="squeezenet1_1")
    parser.add_argument("--layers", default="features.7,features.10,features.12")
    parser.add_argument("--label", default="artist")
    parser.add_argument("--outputs", default="outputs")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cfg = Config(
        data=Folder(images=options.images, labels=options.labels),
        backbone=Backbone(options.backbone, options.weights),
        outputs=options.outputs,
    )
    outputs = Path(cfg.outputs)
    gallery = folder_gallery(Path(options.images), Path(options.labels), None, 0, outputs)
    rows = []
    for layer in options.layers.split(","):
        cfg.backbone.layer = layer
        rows.append((layer, compared(embed(gallery, cfg), options.label)))
    print(f"same {options.label} at rank 1 (among ten)")
    print(" " * 14 + "".join(f"{kind.name:>18}" for kind in Postprocess))
    for layer, found in rows:
        print(f"{layer:14}" + "".join(f"{one:10.3f} ({ten:.3f})" for one, ten in found))


if __name__ == "__main__":
    main()
