"""What a run prints at its end: how good the neighbors are, and what to open."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich import filesize
from rich.table import Table

from src.config.overrides import shell_quote
from src.evaluation.metrics import AGREEMENT, FILTER, JUDGED
from src.gallery import Gallery
from src.io.printable import printable
from src.reporting import terminal
from src.reporting.labels import END, column_of, main_labels, measured_columns
from src.reporting.terminal import from_here
from src.reporting.text import counted, format_interval, format_number

LABEL_METRICS = {  # of a label: heading in the terminal and metric
    "P@1": "precision_at_1",
    "P@10": "precision_at_10",
    "chance": "precision_at_1_chance",
    "mAP@10 *": "map_at_10",
}

NO_LABELS = (
    "No image has a label that another one shares, so quality is not measured: add"
    " data.labels=<a CSV with a column file and columns such as artist>, or judge neighbors in"
    " python -m src.browse."
)
ABOUT_SCORES = "intra, inter and gap describe this embedding; they do not rank settings."
COPIES = (
    "copies: {} images whose file is also that of another image; with similarity.exclude=same_image"
    " they are no neighbors of each other."
)
RANDOM_WEIGHTS = (
    "Random weights: the network has learned nothing about paintings{}; for 630 real paintings by"
    " 21 artists, P@1 of artist was 0.190 with random weights and 0.538 with trained ones."
)
DRAWN = (
    ", and the numbers are high all the same because the drawn manners differ in color and texture,"
    " which any network sees"
)


def print_summary(
    metrics: Mapping[str, Any], gallery: Gallery, folder: Path, others: list[Path], seconds: float
) -> None:
    """Print the metrics of labels, the scores, and the files to open.

    `others` are files outside the run's folder; `seconds` is the wall-clock time of the run.
    """
    console = terminal.console()
    for part in (
        *_labels(metrics, gallery),
        *_judged(metrics),
        _score_table(metrics, seconds),
        ABOUT_SCORES,
    ):
        terminal.show(part, console)
    if copies := metrics.get("copies"):
        terminal.show(COPIES.format(copies), console)
    if metrics["weights"].startswith("random"):
        drawn = DRAWN if gallery.name.startswith("demo") else ""
        terminal.show(RANDOM_WEIGHTS.format(drawn), console)
    if metrics.get("idle_gpu"):
        console.print("WARNING: this machine's GPU was not used; run.log says why.")
    for path in others:
        size = filesize.decimal(path.stat().st_size)
        console.print(printable(f"{path.name}, {size}: {from_here(path)}"))
    run = from_here(folder)
    console.print(printable(f"pictures, tables and run.log: {run}"))
    console.print(printable("compare and explore all runs: make dashboard"))
    console.print(f"a painting and its neighbors: python -m src.show --run {shell_quote(str(run))}")
    console.print(printable(f"open {run / 'neighbors.jpg'}"))


def print_job(name: str, metrics: Mapping[str, Any], gallery: Gallery, seconds: float) -> None:
    """Print the line of a sweep's job: its settings, the metric to compare, wall-clock seconds."""
    columns = measured_columns(metrics)
    metric = f"{main_labels(columns, gallery)[0]}/map_at_10" if columns else "intra"
    metric = AGREEMENT if not columns and AGREEMENT in metrics else metric
    value = format_number(metrics.get(metric))
    print(printable(f"{name}  {metric} {value}  ({seconds:.1f} s)"), flush=True)


def _labels(metrics: Mapping[str, Any], gallery: Gallery) -> Iterator[str | Table]:
    """Yield the table of the main labels and what to know about it."""
    columns = measured_columns(metrics)
    if not columns:
        if f"{JUDGED}pairs" not in metrics:
            yield NO_LABELS
        return
    main = main_labels(columns, gallery)
    measured = [name.removesuffix(END) for name in metrics if name.endswith(END)]
    shown = [name for name in measured if column_of(name) in main]
    yield _label_table(metrics, shown)
    yield f"* compare settings by mAP@10, in metrics.json {main[0]}/map_at_10"
    yield from (text for name in shown if (text := _first_ten(metrics, name)))
    yield from _class_counts(metrics, main)
    yield from (text for label in main if (text := _left_out(metrics, label)))
    yield from (text for name in shown if (text := _unknown_artists(metrics, name)))
    if others := [column for column in columns if column not in main]:
        yield f"in metrics.json also: {', '.join(map(printable, others))}"


def _judged(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the run agrees with the pairs that people have judged, if there are any."""
    if f"{JUDGED}pairs" not in metrics:
        return
    pairs, queries = (metrics[f"{JUDGED}{end}"] for end in ("pairs", "queries"))
    parts = [f"{counted(pairs, 'pair')} of {counted(queries, 'query', 'queries')}"]
    for end, text in (("agreement", "agreement"), ("precision_at_10", "P@10 of those judged")):
        name = f"{JUDGED}{end}"
        if name in metrics:
            interval = format_interval(metrics.get(f"{name}_low"), metrics.get(f"{name}_high"))
            chance = metrics.get(f"{name}_chance")
            words = [text, format_number(metrics[name]), interval]
            words += [] if chance is None else [f"(chance {format_number(chance)})"]
            own = metrics.get(f"{name}_queries", queries)
            words += [] if own == queries else [f"over {counted(own, 'query', 'queries')}"]
            parts.append(" ".join(filter(None, words)))
    if pairs and f"{JUDGED}agreement" not in metrics:
        parts.append("no agreement, for which a query needs a good and a bad neighbor")
    yield f"judgements: {', '.join(parts)}"


def _first_ten(metrics: Mapping[str, Any], name: str) -> str:
    """Return how many of a label's images the first ten neighbors find, "" if that is not known."""
    ends = ("hit_at_10", "recall_at_10", "recall_at_10_bound")
    values = [format_number(metrics.get(f"{name}/{end}")) for end in ends]
    if not all(values):
        return ""
    return printable("{}: hit@10 {}, recall@10 {} of at most {}".format(_label_name(name), *values))


def _class_counts(metrics: Mapping[str, Any], labels: list[str]) -> Iterator[str]:
    """Yield a line with the number of classes of each label."""
    counts = {label: metrics.get(f"{label}/classes") for label in labels}
    if known := [f"{count} of {label}" for label, count in counts.items() if count]:
        text = f"classes: {', '.join(known)}; intervals that draw few classes are uncertain"
        yield printable(text)


def _left_out(metrics: Mapping[str, Any], label: str) -> str:
    """Return which images are no queries of a label, "" if all are."""
    empty, single = (int(metrics.get(f"{label}/{end}", 0)) for end in ("empty", "singletons"))
    reasons = [f"{empty} without {label}"] if empty else []
    reasons += [f"{single} that share theirs with no other image"] if single else []
    return printable(f"{label}: left out {' and '.join(reasons)}") if reasons else ""


def _unknown_artists(metrics: Mapping[str, Any], name: str) -> str:
    """Return what a filter of artists does with unknown ones, "" if there are none."""
    for end, done in (("strangers", "count as other artists"), ("left_out", "left out")):
        if count := metrics.get(f"{name}/{end}"):
            return printable(f"{_label_name(name)}: {count} images of unknown artist {done}")
    return ""


def _label_name(name: str) -> str:
    """Return the name of a label's metrics in words.

    >>> _label_name("style-no_same_artist")
    'style, other artists'
    """
    label, filtered, group = name.partition(FILTER)
    return f"{label}, other {group}s" if filtered else label


def _label_table(metrics: Mapping[str, Any], labels: list[str]) -> Table:
    """Return a table with a line for each label and a 95% interval of map_at_10."""
    heads = ("label", "queries", *LABEL_METRICS, "95%")
    table = terminal.table(*heads)
    for label in labels:
        cells = [format_number(metrics.get(f"{label}/{end}")) for end in LABEL_METRICS.values()]
        ends = [format_number(metrics.get(f"{label}/map_at_10_{end}")) for end in ("low", "high")]
        queries = str(metrics[f"{label}/queries"])
        interval = "-".join(filter(None, ends))
        table.add_row(printable(_label_name(label)), queries, *cells, interval)
    return table


def _score_table(metrics: Mapping[str, Any], seconds: float) -> Table:
    """Return a table with a line for the whole run."""
    heads = ("images", "skipped", "intra", "inter", "gap", "seconds")
    table = terminal.table(*heads)
    numbers = [f"{metrics[name]:.4f}" for name in ("intra", "inter", "gap")]
    table.add_row(str(metrics["images"]), str(metrics["skipped"]), *numbers, f"{seconds:.1f}")
    return table
