"""results.json: what a run compared, with what, on what, and how well, for tables and citations.

results.schema.json beside this file describes it. It names no user, no host, and of paths that
leave the working directory only the last part.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from src.config import Config
from src.config.enums import Resample
from src.config.overrides import MULTIRUN
from src.config.sources import SOURCES
from src.embedding.presets import weights_file
from src.evaluation.metric_table import SUFFIXES
from src.evaluation.metrics import JUDGED, find_metric
from src.gallery import Gallery
from src.io.outputs import Outputs
from src.reporting.citable import citable_options, citable_overrides
from src.reporting.run_folder import RunFolder
from src.reporting.skipped_files import by_reason, read_skipped
from src.reporting.text import as_utf8
from src.runtime.machine import hardware, versions

FORMAT = "painting-similarity results 1"
COUNTS = ("images", "skipped", "missing")
INPUTS = ("weights", "vectors", "whiten_from", "judgements")  # texts that say what was given
SECONDS = "seconds/"
COST_UNITS = {"s", "rows", "processes", "GB", "MB", "images/s"}
COST_SHARES = ("waiting_for_data", "unproven_rows")
OBJECT = "object/"
OWN_GROUPS = {JUDGED: "judged", OBJECT: "objects"}  # of metrics that are not of a label


def run_results(
    files: RunFolder, cfg: Config, metrics: Mapping[str, Any], gallery: Gallery, rows: Path
) -> dict[str, Any]:
    """Return the content of results.json: every value of metrics, in its place.

    gallery has the images that were compared, and rows is the folder of their features. The layers
    in cfg have names, not depths. Numbers that are NaN or infinite are left out.
    """
    finite = {name: value for name, value in metrics.items() if not _is_odd(value)}
    placed = {name: _section(name, value) for name, value in finite.items()}

    def taken(section: str) -> dict[str, Any]:
        """Return the metrics of a section by name."""
        return {as_utf8(name): _text(finite[name]) for name in placed if placed[name] == section}

    seconds = taken("seconds")
    return {
        "format": FORMAT,
        "run": _run(files, cfg),
        "settings": citable_options(cfg),
        "inputs": _inputs(cfg, gallery) | taken("inputs") | {"weights": _weights(cfg, metrics)},
        "versions": versions(),
        "hardware": hardware(),
        "counts": taken("counts") | {"skipped_by_reason": _reasons(metrics, cfg, rows)},
        "resampling": {
            "method": "percentile bootstrap",
            "level": 0.95,
            "resamples": cfg.evaluation.resamples,
            "seed": cfg.seed,
        },
        "metrics": metric_groups(
            {name: finite[name] for name in placed if placed[name] == "metrics"},
            cfg.evaluation.resample is Resample["query"],
        ),
        "execution": taken("execution"),
        "seconds": {name.removeprefix(SECONDS): value for name, value in seconds.items()},
    }


def metric_groups(metrics: Mapping[str, float], by_query: bool = False) -> dict[str, Any]:
    """Return metrics by group and name, each with its value, unit, interval and chance.

    The groups are those of labels, within "labels", of objects, of judged pairs, and of the
    embedding as a whole. With by_query, label metrics have been resampled by query.

    >>> named = {"artist/map_at_10": 0.5, "artist/map_at_10_low": 0.4, "artist/map_at_10_high": 0.6}
    >>> metric_groups(named)["labels"]["artist"]["map_at_10"]["low"]
    0.4
    """
    groups: dict[str, Any] = {"labels": {}, "objects": {}, "judged": {}, "embedding": {}}
    for name in metrics:
        if any(name.endswith(end) and name.removesuffix(end) in metrics for end in SUFFIXES):
            continue  # a further figure of a metric, which _figures finds
        is_of_classes = "/" in name and not name.startswith(JUDGED) and not by_query
        entry = _figures(name, metrics, "classes" if is_of_classes else "queries")
        entry |= _about(name)
        if f"{name}_macro" in metrics:  # a mean over classes is always resampled by class
            entry["macro"] = _figures(f"{name}_macro", metrics, "classes")
        _group(name, groups)[as_utf8(name.rpartition("/")[2])] = entry
    return groups


def _figures(name: str, metrics: Mapping[str, float], units: str) -> dict[str, Any]:
    """Return the figures of a metric by their keys; units are what its resamples draw."""
    ends = {"value": "", "low": "_low", "high": "_high", "chance": "_chance", "queries": "_queries"}
    found = {key: metrics[name + end] for key, end in ends.items() if name + end in metrics}
    return found | ({"resampled": units} if "low" in found else {})


def _group(name: str, groups: dict[str, Any]) -> Any:
    """Return the group that a metric belongs to; make it if it is that of a new label."""
    label = name.rpartition("/")[0]
    if own := next((key for start, key in OWN_GROUPS.items() if name.startswith(start)), ""):
        return groups[own]
    return groups["labels"].setdefault(as_utf8(label), {}) if label else groups["embedding"]


def _about(name: str) -> dict[str, str]:
    """Return unit and better direction of a metric, as far as they are known."""
    metric = find_metric(name)
    known = {} if metric is None else {"unit": metric.unit, "better": metric.better}
    return {key: text for key, text in known.items() if text}


def _section(name: str, value: Any) -> str:
    """Return where in results.json a value of metrics.json belongs."""
    if name in COUNTS:
        return "counts"
    if name in INPUTS:
        return "inputs"
    if name.startswith(SECONDS):
        return "seconds"
    metric = find_metric(name)
    is_cost = name in COST_SHARES or (metric is not None and metric.unit in COST_UNITS)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "execution" if is_cost or not is_number else "metrics"


def _run(files: RunFolder, cfg: Config) -> dict[str, Any]:
    """Return the name of the run below outputs, its date, options, and the sweep that it is of."""
    sweep = next((above for above in files.path.parents if (above / MULTIRUN).is_file()), None)
    return {
        "name": _name(files.path, cfg),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "overrides": citable_overrides(files.overrides()),
        "sweep": sweep and {"name": _name(sweep, cfg), "job": as_utf8(files.path.name)},
    }


def _name(folder: Path, cfg: Config) -> str:
    """Return a folder's path below outputs, else its name."""
    folder, outputs = folder.resolve(), Path(cfg.outputs).resolve()
    inner = folder.relative_to(outputs).as_posix() if folder.is_relative_to(outputs) else ""
    return as_utf8(inner or folder.name)


def _inputs(cfg: Config, gallery: Gallery) -> dict[str, Any]:
    """Return where the images come from, and hashes of them and of each label column."""
    labels = gallery.label_fingerprints()
    return {
        "source": next((name for name, kind in SOURCES.items() if type(cfg.data) is kind), None),
        "gallery": gallery.name,
        "images": gallery.fingerprint(),
        "labels": {as_utf8(column): digest for column, digest in labels.items()},
    }


def _weights(cfg: Config, metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return what identifies the weights, and their file and its SHA-256 if they have one."""
    name = metrics.get("weights", cfg.backbone.weights)
    facts = weights_file(cfg.backbone, Outputs(Path(cfg.outputs)).presets)
    return {key: as_utf8(text) for key, text in ({"name": name} | facts).items()}


def _reasons(metrics: Mapping[str, Any], cfg: Config, rows: Path) -> dict[str, int]:
    """Return the number of skipped images by reason, the most frequent first."""
    if not metrics.get("skipped"):
        return {}
    reasons = by_reason(read_skipped(rows, cfg.escape_formulas))
    return {as_utf8(reason.text): len(reason.files) for reason in reasons}


def _is_odd(value: Any) -> bool:
    """Return whether JSON has no such number."""
    return isinstance(value, float) and not math.isfinite(value)


def _text(value: Any) -> Any:
    return as_utf8(value) if isinstance(value, str) else value
