"""Compare every painting with every other:  python -m src.run [option=value ...]"""

import sys

import hydra
from omegaconf import DictConfig

from src import cli

cli.register()


@hydra.main(version_base="1.3", config_path=str(cli.CONFIGS), config_name="run")
def main(overrides: DictConfig) -> None:
    with cli.refusals():
        cfg = cli.typed(overrides)
        print(cfg)


if __name__ == "__main__":
    sys.exit(cli.command(main))
