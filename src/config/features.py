"""Options of data=features: one's own vectors.

Imports only OmegaConf and the standard library, so that invalid options fail fast.
"""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from src.config.data import Data
from src.config.validation import check_folder, check_table, expand_home, option
from src.errors import UserError

# Options of how images reach a network
OF_NETWORKS = ("image_size", "batch_size", "decode", "workers", "timeout", "resize", "max_pixels")


@dataclass
class Features(Data):
    """One's own vectors in a file, compared in place of what a network makes of images."""

    features: str = option(
        MISSING,
        ".npy, .npz or .parquet file (needs the optional dependency parquet) of vectors of numbers,"
        " a row for each image; see src/gallery/README.md",
    )
    labels: str | None = option(
        None,
        "CSV or .xlsx file with any label columns; joined by its column id or file if the file of"
        " features has ids, else row by row; null = no labels",
    )
    images: str | None = option(
        None, "folder of images that the column file is relative to; null = no pictures"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in OF_NETWORKS:
            if (value := getattr(self, name)) != getattr(Data, name):
                raise UserError(
                    f"data.{name}={getattr(value, 'name', value)} has no effect with data=features,"
                    " whose rows no network makes of images: leave it out"
                )
        if self.features in (MISSING, ""):
            raise UserError("data=features needs data.features=<a .npy, .npz or .parquet file>")
        self.features = expand_home(self.features)
        if not Path(self.features).is_file():
            raise UserError(
                f"data.features={self.features} is not a file: give the path of a .npy, .npz or"
                " .parquet file"
            )
        if self.labels is not None:
            self.labels = expand_home(self.labels)
            check_table("data.labels", self.labels)
        if self.images is not None:
            self.images = expand_home(self.images)
            check_folder("data.images", self.images)
