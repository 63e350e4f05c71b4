"""Write the columns of TensorBoard's HPARAMS page: the settings in which runs differ."""

import time
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from src.evaluation.metrics import describe_metric
from src.leaderboard.comparison import Leaderboard
from src.leaderboard.runs import find_files

# TensorBoard takes the columns from any one file that defines them, so only one file may
SUFFIX = ".columns"
MAIN_GROUPS = ("backbone.", "similarity.")  # of settings, which come first
# Columns of runs that do not differ
DEFAULT_SETTINGS = ["backbone.name", "backbone.layer", "similarity.postprocess"]


def write_columns(leaderboard: Leaderboard, folder: Path) -> int:
    """Write an event file that defines which settings and metrics HPARAMS shows for folder.

    It is in the folder of a run below folder: TensorBoard takes any folder of event files for a
    run. Return the number of runs that TensorBoard knows.
    """
    pattern = f"events.out.tfevents.*{SUFFIX}"
    for path in {*folder.glob(pattern), *find_files(folder, pattern)}:
        path.unlink()
    runs = [(run, found) for run in leaderboard.runs if (found := logged_settings(run.folder))]
    if not runs:
        return 0
    columns = []
    # TensorBoard shows the first five
    names = sorted(leaderboard.settings, key=lambda name: not name.startswith(MAIN_GROUPS))
    for name in names or DEFAULT_SETTINGS:
        values = {settings[name] for _, settings in runs if name in settings}
        if len({type(value) for value in values}) == 1:
            columns.append(hparams.HParam(name, hparams.Discrete(sorted(values))))
    metrics = [
        hparams.Metric(name, description=describe_metric(name))
        for name in shown_metrics(leaderboard)
    ]
    writer = EventFileWriter(str(runs[0][0].folder), filename_suffix=SUFFIX)
    summary = hparams.hparams_config_pb(columns, metrics)
    writer.add_event(Event(wall_time=time.time(), summary=summary))
    writer.close()
    return len(runs)


def shown_metrics(leaderboard: Leaderboard) -> list[str]:
    """Return the metrics of the leaderboard, those that every run has first.

    TensorBoard shows the first five, and no line in parallel coordinates for a run that lacks one.
    """
    runs = leaderboard.runs
    return sorted(leaderboard.metrics(), key=lambda name: not all(name in r.metrics for r in runs))


def logged_settings(folder: Path) -> dict[str, Any]:
    """Return the settings in a run's event files, {} if there are none."""
    for path in folder.glob("events.out.tfevents.*"):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.tag == metadata.SESSION_START_INFO_TAG:
                    info = metadata.parse_session_start_info_plugin_data(
                        value.metadata.plugin_data.content
                    )
                    return {
                        name: getattr(v, v.WhichOneof("kind")) for name, v in info.hparams.items()
                    }
    return {}
