"""What a name in metrics.json means: its row of the table, its label, its filter.

Imports no torch.
"""

from collections.abc import Iterable
from functools import cache

from src.evaluation.metric import DEPTH, Metric
from src.evaluation.metric_table import METRICS, SUFFIXES

MAIN_LABELS = ("artist", "style")
# Labels that say much about paintings, for galleries without MAIN_LABELS
KNOWN_LABELS = ("school", "movement", "genre", "period", "theme", "technique", "nationality")

JUDGED = "judged/"  # begins the names of metrics of pairs that people have judged
AGREEMENT = f"{JUDGED}agreement"
FILTER = "-no_same_"  # between a label and the column whose shared values are filtered out

# Shown beside the metrics of labels on the leaderboard and in TensorBoard
HEADLINE_METRICS = ("inter", "hubness", "seconds/embed", "seconds/rank", "matrix_mb")


@cache
def find_metric(name: str) -> Metric | None:
    """Return the row of the table for a name in metrics.json, None for an unknown name.

    A suffix of SUFFIXES leads to the metric that it belongs to.
    """
    exact = sorted(METRICS, key=lambda metric: "<" in metric.pattern)  # names before patterns
    stems = [name, *(name.removesuffix(end) for end in SUFFIXES if name.endswith(end))]
    return next((metric for stem in stems for metric in exact if metric.matches(stem)), None)


def reserved_group(label: str) -> str:
    """Return the part of a label's name that names the program's own metrics, "" if none does.

    >>> reserved_group("object"), reserved_group("seconds/x"), reserved_group("style")
    ('object', 'seconds', '')
    """
    group = label.partition("/")[0]
    own = {metric.pattern.partition("/")[0] for metric in METRICS if "/" in metric.pattern}
    return FILTER if FILTER in label else group if group in own else ""


def depends_on(name: str) -> tuple[str, ...]:
    """Return the settings in which runs must agree for the metric to be compared between them.

    What a filter leaves of a list of neighbors depends on how long the list was, and what counts
    as a hit on the settings of labels.

    >>> depends_on("hubness"), depends_on("style/map_at_10")
    (('similarity.top_k',), ('evaluation.multilabel',))
    >>> depends_on("style-no_same_object/map_at_10")
    ('evaluation.depth', 'evaluation.multilabel')
    """
    metric = find_metric(name)
    if metric is None:
        return ()
    settings = metric.depends_on
    measure = name.rpartition("/")[2]
    if is_filtered(name) and "_at_" in measure and not measure.endswith("_bound"):
        settings = DEPTH
    if metric.pattern.startswith("<label>/"):
        settings += ("evaluation.multilabel",)
    by_artist = name.rpartition("/")[0].endswith(f"{FILTER}artist")
    return (*settings, "evaluation.unknown_artists") if by_artist else settings


def is_of_label(name: str, end: str) -> bool:
    """Return whether the metric is that of a label which ends so: artist/map_at_10 in /map_at_10.

    >>> is_of_label("style/map", "/map"), is_of_label("judged/map", "/map")
    (True, False)
    """
    return name.endswith(end) and not name.startswith(JUDGED)


def is_filtered(name: str) -> bool:
    """Return whether a label metric is one with a filter: style-no_same_artist/map_at_10."""
    return FILTER in name.rpartition("/")[0]


def ranks_settings(name: str) -> bool:
    """Return whether the metric is one of labels, objects or judgements: only they rank settings.

    >>> ranks_settings("artist/map_at_10"), ranks_settings("intra"), ranks_settings("seconds/rank")
    (True, False, False)
    """
    return "/" in name and not name.startswith("seconds/")


def direction(name: str) -> int:
    """Return 1 if higher values of the metric are better, -1 if lower ones are."""
    return -1 if lower_is_better(name) else 1


def lower_is_better(name: str) -> bool:
    """Return whether lower values of the metric are better. False for an unknown metric."""
    metric = find_metric(name)
    return metric is not None and metric.better == "lower"


def describe_metric(name: str) -> str:
    """Return one sentence about a metric and its suffix, "" for an unknown metric."""
    metric = find_metric(name)
    if metric is None:
        return ""
    fitting = [end for end in SUFFIXES if not metric.matches(name) and name.endswith(end)]
    suffix = max(fitting, key=len, default="")  # _macro_low before _low
    return f"{metric.description}: {SUFFIXES[suffix]}" if suffix else metric.description


def main_names(labels: Iterable[str]) -> list[str]:
    """Return which labels say most about paintings: artist and style, else one of KNOWN_LABELS.

    >>> main_names(["school", "style", "source"]), main_names(["genre", "school"])
    (['style'], ['school'])
    """
    present = set(labels)
    main = [name for name in MAIN_LABELS if name in present]
    return main or [name for name in KNOWN_LABELS if name in present][:1]
