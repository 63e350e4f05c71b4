"""Compare every painting with every other:  python -m src.run [option=value ...]"""

import logging
import sys
from contextlib import nullcontext
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src.cli import app
from src.cli.sweep_jobs import is_sweep_job, job_name, quiet_console, swept_outputs
from src.config import Config
from src.config.names import CONFIGS, Swept
from src.errors import keep_run_folder
from src.reporting.wandb_runs import check_wandb
from src.runtime.launch import launch
from src.runtime.processes import ProcessGroup
from src.runtime.progress import Clock
from src.runtime.streams import run_command

log = logging.getLogger(__name__)

app.register()


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="run")
def main(composed: DictConfig) -> None:
    """Validate the options and run."""
    with app.report_user_errors():
        cfg, job, swept = app.to_config(composed), "", dict[str, list[str]]()
        if is_sweep_job():
            quiet_console()
            job, swept = job_name(), swept_outputs()
        run(cfg, Path(HydraConfig.get().runtime.output_dir), job, swept)


def checked(cfg: Config, processes: ProcessGroup) -> Config:
    """Return the options with the names of layers in place of depths.

    Raises UserError for what only the network's names or another run's files can tell.
    """
    from src.pipeline.embed import with_named_layers
    from src.pipeline.whiten_from import check_whiten_from

    cfg = with_named_layers(cfg)
    processes.broadcast_from_rank_zero(lambda: check_whiten_from(cfg))
    return cfg


def run(cfg: Config, folder: Path, job: str = "", swept: Swept | None = None) -> None:
    """Run the five stages: collect, embed, rank, evaluate, report. Each writes its files.

    All ranks embed and rank; rank 0 does the rest and fills folder. job is the name of a sweep's
    job, which prints one line instead of a summary; swept are the values of all its jobs. Raises
    UserError if the options do not suit the images, the machine or the disk.
    """
    from src.pipeline.collect import collect  # imports pandas: only after the checks

    check_wandb(cfg.tracking, folder)
    clock, processes = Clock(), launch(cfg.trainer)
    with clock("collect"):
        gallery = processes.broadcast_from_rank_zero(lambda: collect(cfg))

    log.info("loading PyTorch")
    from src.pipeline import report  # these import torch, which takes seconds: only after checks
    from src.pipeline.embed import embed
    from src.pipeline.evaluate import evaluate
    from src.pipeline.rank import rank
    from src.reporting.run_folder import RunFolder
    from src.reporting.tracking import tracking
    from src.runtime.devices import peak_memory

    cfg = checked(cfg, processes)
    if processes.is_rank_zero:
        RunFolder(folder).discard_results()
    with tracking(cfg, folder) if processes.is_rank_zero else nullcontext() as tracker:
        with clock("embed"):
            embeddings = embed(gallery, cfg, processes, swept or {})
        with keep_run_folder(), clock("rank"):
            ranking = rank(embeddings, cfg, folder, processes)
        processes.close()
        if tracker is None:
            return
        with clock("evaluate"):
            metrics = evaluate(ranking, embeddings.gallery, cfg, folder)
        metrics |= {"missing": gallery.missing} | embeddings.facts | ranking.facts
        metrics |= clock.seconds | peak_memory()
        report.report(metrics, embeddings, ranking, cfg, folder, tracker)
    report.print_end(job, metrics, embeddings, ranking, folder, clock.elapsed())


if __name__ == "__main__":
    sys.exit(run_command(lambda: app.command(main)))
