"""Compare every painting with every other:  python -m src.run [option=value ...]"""

import sys
from contextlib import nullcontext
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src.cli import app
from src.cli.help import CONFIGS
from src.config import Config
from src.errors import at_work
from src.pipeline.collect import collect
from src.runtime.launch import launch
from src.runtime.progress import Clock

app.register()


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="run")
def main(overrides: DictConfig) -> None:
    """Check the options, then run."""
    with app.report_user_errors():
        cfg = app.to_config(overrides)
        run(cfg, Path(HydraConfig.get().runtime.output_dir))


def run(cfg: Config, folder: Path) -> None:
    """gallery -> embeddings -> neighbors -> metrics, pictures; each stage leaves its files."""
    clock, processes = Clock(), launch(cfg.trainer)
    with clock("collect"):
        gallery = processes.broadcast_from_rank_zero(lambda: collect(cfg))

    from src.pipeline import report  # these import torch, which takes seconds: only after checks
    from src.pipeline.embed import embed
    from src.pipeline.evaluate import evaluate
    from src.pipeline.rank import rank
    from src.reporting.tracking import tracking
    from src.runtime import devices

    with tracking(cfg, folder) if processes.is_rank_zero else nullcontext() as tracker:
        with clock("embed"):
            embeddings = embed(gallery, cfg, processes)
        with at_work(), clock("rank"):
            ranking = rank(embeddings, cfg, folder, processes)
        processes.close()
        if tracker is None:
            return  # the first process does the rest
        with clock("evaluate"):
            metrics = evaluate(ranking, embeddings.gallery, cfg, folder)
        metrics |= {"missing": gallery.missing, "comparison_device": ranking.device}
        metrics |= embeddings.facts | clock.seconds | devices.peak_memory()
        images = report.illustrate(metrics, embeddings.gallery, ranking, cfg.seed, folder)
        tracker.metrics(metrics)
        tracker.pictures(images)
        tracker.distributions({"neighbor_scores": ranking.saved.score.ravel()})
        tracker.hubs(embeddings.gallery)
        tracker.points(ranking.features, embeddings.gallery)
        report.write_report(metrics, embeddings, ranking, folder)
    report.summary(metrics, folder)


if __name__ == "__main__":
    sys.exit(app.command(main))
