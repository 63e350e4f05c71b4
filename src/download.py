"""Download the museum's images:  python -m src.download [option=value ...]

Writes outputs/images/<source>/<size>/ with the images and journal.csv, the outcome of each.
"""

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src.cli import app
from src.config.data import Folder
from src.config.features import Features
from src.config.names import CONFIGS
from src.config.overrides import shell_quote
from src.errors import UserError
from src.gallery.museum import museum_gallery
from src.io.printable import printable
from src.runtime.streams import run_command

app.register()


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="run")
def main(overrides: DictConfig) -> None:
    """Validate the options and download. Raises UserError for local files."""
    with app.report_user_errors():
        cfg = app.to_config(overrides)
        if isinstance(cfg.data, Folder | Features):
            source = type(cfg.data).__name__.lower()
            raise UserError(f"data={source} has nothing to download: its images are local files")
        gallery = museum_gallery(cfg)
        words = map(shell_quote, HydraConfig.get().overrides.task)
        print(printable(f"{len(gallery)} images: {gallery.root}"))
        print(printable(" ".join(["find their neighbors: python -m src.run", *words])))


if __name__ == "__main__":
    sys.exit(run_command(lambda: app.command(main)))
