"""Check a run's results.json against its schema and its metrics.json."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

from jsonschema import Draft202012Validator

SCHEMA: dict[str, Any] = json.loads(
    files("src.reporting").joinpath("results.schema.json").read_text()
)
VALIDATOR = Draft202012Validator(SCHEMA)


def checked_results(run: Path) -> dict[str, Any]:
    """Return results.json of a run; fail unless it fits the schema and metrics.json."""
    text = (run / "results.json").read_text(encoding="utf-8")
    results: dict[str, Any] = json.loads(text, parse_constant=refuse)
    VALIDATOR.validate(results)
    metrics = json.loads((run / "metrics.json").read_text())
    assert flat_metrics(results) == metrics
    return results


def refuse(constant: str) -> NoReturn:
    """Fail at NaN and Infinity, which Python reads and JSON does not have."""
    raise AssertionError(f"{constant} is no JSON")


def flat_metrics(results: dict[str, Any]) -> dict[str, Any]:
    """Return all values of results.json under their names in metrics.json."""
    groups = {f"{label}/": group for label, group in results["metrics"]["labels"].items()}
    named = {"": "embedding", "object/": "objects", "judged/": "judged"}
    groups |= {start: results["metrics"][name] for start, name in named.items()}
    flat = {}
    for start, group in groups.items():
        for name, metric in group.items():
            flat |= figures(f"{start}{name}", metric)
            flat |= figures(f"{start}{name}_macro", metric.get("macro", {}))
    inputs, counts = results["inputs"], results["counts"]
    flat |= {
        name: inputs[name] for name in ("vectors", "whiten_from", "judgements") if name in inputs
    }
    flat |= {name: value for name, value in counts.items() if name != "skipped_by_reason"}
    flat |= {f"seconds/{stage}": seconds for stage, seconds in results["seconds"].items()}
    if "processes" in results["execution"]:  # not of features that a test has given
        flat["weights"] = inputs["weights"]["name"]
    return flat | results["execution"]


def figures(name: str, metric: dict[str, Any]) -> dict[str, float]:
    """Return value, ends of the interval, chance and queries of a metric by their names."""
    ends = {"value": "", "low": "_low", "high": "_high", "chance": "_chance", "queries": "_queries"}
    return {f"{name}{end}": metric[key] for key, end in ends.items() if key in metric}
