"""Compare every painting with every other:  python -m src.run [option=value ...]"""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src import cli
from src.checks import at_work
from src.config import Config
from src.launch import launch
from src.progress import Clock
from src.sources import Folder

if TYPE_CHECKING:
    from src.gallery import Gallery

cli.register()


@hydra.main(version_base="1.3", config_path=str(cli.CONFIGS), config_name="run")
def main(overrides: DictConfig) -> None:
    """Check the options, then run."""
    with cli.refusals():
        cfg = cli.typed(overrides)
        run(cfg, Path(HydraConfig.get().runtime.output_dir))


def run(cfg: Config, folder: Path) -> None:
    """gallery -> embeddings -> neighbors -> metrics, pictures; each stage leaves its files."""
    clock, world = Clock(), launch(cfg.trainer)
    with clock("collect"):
        gallery = world.from_first(lambda: collect(cfg))

    from src import machine, report  # these import torch, which takes seconds: only after checks
    from src.embed import embed
    from src.measure import measure
    from src.rank import rank
    from src.track import tracking

    with tracking(cfg, folder) if world.first else nullcontext() as tracker:
        with clock("embed"):
            embeddings = embed(gallery, cfg, world)
        with at_work(), clock("rank"):
            ranking = rank(embeddings, cfg, folder, world)
        world.close()
        if tracker is None:
            return  # the first process does the rest
        with clock("evaluate"):
            metrics = measure(ranking, embeddings.gallery, cfg, folder)
        metrics |= {"missing": gallery.missing, "comparison_device": ranking.device}
        metrics |= embeddings.facts | clock.seconds | machine.peak_memory()
        images = report.illustrate(metrics, embeddings.gallery, ranking, cfg.seed, folder)
        tracker.metrics(metrics)
        tracker.pictures(images)
        tracker.distributions({"neighbor_scores": ranking.top.score.ravel()})
        tracker.hubs(embeddings.gallery)
        tracker.points(ranking.features, embeddings.gallery)
        report.write(metrics, embeddings, ranking, folder)
    report.summary(metrics, folder)


def collect(cfg: Config) -> "Gallery":
    """The gallery that the options ask for; what only it can tell is refused here."""
    if isinstance(cfg.data, Folder):
        from src.folder import folder_gallery

        labels = Path(cfg.data.labels) if cfg.data.labels else None
        images, outputs = Path(cfg.data.images), Path(cfg.outputs)
        gallery = folder_gallery(images, labels, cfg.data.limit, cfg.seed, outputs)
    else:
        from src.download import museum_gallery

        gallery = museum_gallery(cfg)
    gallery.groups(cfg.similarity)
    for column in cfg.evaluation.labels or []:
        gallery.labels(column)
    return gallery


if __name__ == "__main__":
    sys.exit(cli.command(main))
