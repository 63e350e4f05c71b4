"""Which runs can be compared: those over the same images, labels and possible neighbors."""

from typing import Any

from src.evaluation.metrics import FILTER
from src.leaderboard.runs import Run

FACTS = ("empty", "queries", "precision_at_1_chance")  # of a label; they depend on no embedding


def comparable_groups(runs: list[Run]) -> list[list[Run]]:
    """Return the runs in groups in which every two are comparable, in order in each group.

    Runs of a group have the same images. Of the labels that two of them have evaluated, all are the
    same, and there is at least one, unless neither has any. Runs that have evaluated more labels
    are placed first, so that the result does not depend on the order.
    """
    groups: list[tuple[tuple[str, ...], dict[str, Any], list[Run]]] = []
    evidence = {run.folder: label_evidence(run) for run in runs}
    for run in sorted(runs, key=lambda run: -len(evidence[run.folder])):
        images, labels = image_identity(run), evidence[run.folder]
        for group_images, known, members in groups:
            if images == group_images and _agree(labels, known):
                known |= labels
                members.append(run)
                break
        else:
            groups.append((images, dict(labels), [run]))
    order = {run.folder: number for number, run in enumerate(runs)}
    return [sorted(members, key=lambda run: order[run.folder]) for *_, members in groups]


def image_identity(run: Run) -> tuple[str, ...]:
    """Return a hash of the run's images in row order; its gallery and their number without one."""
    gallery, images = run.images()
    rows = str(run.rows)
    return (images, rows) if "images" in run.files.paths() else (gallery, images, rows)


def label_evidence(run: Run) -> dict[str, Any]:
    """Return what tells the run's labels from others: by label and fact, its value.

    Runs of earlier versions have no hash of the labels, so the number of queries and the value
    expected by chance, which follow from the sizes of the classes, have to do. With a hash, what is
    known with a filter is no evidence: options decide what a filter leaves.
    """
    metrics = [name.rpartition("/") for name in run.metrics]
    ends = ("map_at_10", "precision_at_1")
    labels = dict.fromkeys(label for label, _, end in metrics if end in ends and label != "judged")
    evidence: dict[str, Any] = {label: True for label in labels}
    hashes = run.files.label_hashes()
    for label in labels:
        column, is_filtered, _ = label.partition(FILTER)
        for fact in () if is_filtered and column in hashes else FACTS:
            value = run.metrics.get(f"{label}/{fact}")
            if isinstance(value, int | float) and not isinstance(value, bool):
                evidence[f"{label}/{fact}"] = round(value, 6)
    return evidence | {f"{label}/hash": hashes[label] for label in labels if label in hashes}


def _agree(labels: dict[str, Any], known: dict[str, Any]) -> bool:
    """Return whether the facts that both know are equal, and they know one label at least."""
    both = labels.keys() & known.keys()
    return all(labels[name] == known[name] for name in both) and bool(both or not labels | known)
