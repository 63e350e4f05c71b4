"""The tree of folders below outputs/: each folder is named here once."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outputs:
    """Paths below root, the folder of the option outputs. Nothing is created."""

    root: Path

    @property
    def galleries(self) -> Path:
        """Return the folder that holds a folder per gallery, with works.csv and gallery.yaml."""
        return self.root / "galleries"

    @property
    def embeddings(self) -> Path:
        """Return the folder of feature rows: <gallery>/<backbone>-<fingerprint>/<layer>/."""
        return self.root / "embeddings"

    @property
    def presets(self) -> Path:
        """Return the folder of cached facts about pretrained weights."""
        return self.embeddings / "presets"

    @property
    def images(self) -> Path:
        """Return the folder of downloaded images: <museum>/<size>/."""
        return self.root / "images"

    @property
    def tables(self) -> Path:
        """Return the folder of the museum's tables: <host>/."""
        return self.root / "tables"

    @property
    def manifests(self) -> Path:
        """Return the folder of IIIF collections and manifests: <host>/."""
        return self.root / "manifests"

    @property
    def demo(self) -> Path:
        """Return the folder of the drawn collections that the demo serves."""
        return self.root / "demo"

    @property
    def browser(self) -> Path:
        """Return the folder of what the browser keeps: thumbnails/, pictures that were asked."""
        return self.root / "browser"

    @property
    def queries(self) -> Path:
        """Return the folder of images that the browser was asked about, by their SHA-256."""
        return self.browser / "queries"

    @property
    def judgements(self) -> Path:
        """Return the folder of what people say in the browser about pairs: <gallery>.csv."""
        return self.root / "judgements"

    @property
    def runs(self) -> Path:
        """Return the folder of single runs: <date>/<time>/."""
        return self.root / "runs"

    @property
    def sweeps(self) -> Path:
        """Return the folder of sweeps: <date>/<time>/, with a numbered folder per run."""
        return self.root / "sweeps"
