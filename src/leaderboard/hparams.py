"""The columns of TensorBoard's HPARAMS page, for the settings in which runs differ."""

import time
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from src.leaderboard.comparison import Comparison
from src.leaderboard.runs import below

# The only files that say which columns HPARAMS has: TensorBoard takes those of any one of them.
SUFFIX = ".columns"
MAIN = ["backbone.name", "backbone.layer", "similarity.postprocess"]  # where none differ


def write_columns(board: Comparison, folder: Path) -> int:
    """Tell TensorBoard's HPARAMS which settings differ, and which metrics to show beside them.

    Returns how many runs it has.
    """
    name = f"events.out.tfevents.*{SUFFIX}"
    for path in {*folder.glob(name), *below(folder, name)}:
        path.unlink()
    told = [settings for run in board.runs if (settings := told_settings(run.folder))]
    columns = []
    for name in board.settings or MAIN:
        values = {settings[name] for settings in told if name in settings}
        if len({type(value) for value in values}) == 1:
            columns.append(hparams.HParam(name, hparams.Discrete(sorted(values))))
    # the first five are shown, and a run that lacks one has no line among the coordinates
    shown = board.metrics()
    shown.sort(key=lambda name: not all(name in run.metrics for run in board.runs))
    summary = hparams.hparams_config_pb(columns, [hparams.Metric(name) for name in shown])
    writer = EventFileWriter(str(folder), filename_suffix=SUFFIX)
    writer.add_event(Event(wall_time=time.time(), summary=summary))
    writer.close()
    return len(told)


def told_settings(folder: Path) -> dict[str, Any]:
    """The settings that a run has told TensorBoard; none if it was not told."""
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
