"""Fetch the museum's images, politely:  python -m src.download [option=value ...]

outputs/images/<source>/<size>/ holds them, with journal.csv, which says what came of each.
"""

import sys

import hydra
from omegaconf import DictConfig

from src.cli import app
from src.cli.help import CONFIGS
from src.config.data import Demo, Nga
from src.errors import UserError
from src.gallery.museum import museum_gallery

app.register()


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="run")
def main(overrides: DictConfig) -> None:
    """Check the options, then fetch."""
    with app.report_user_errors():
        cfg = app.to_config(overrides)
        if not isinstance(cfg.data, Nga | Demo):
            raise UserError("data=folder has its images already: nothing to download")
        museum_gallery(cfg)


if __name__ == "__main__":
    sys.exit(app.command(main))
