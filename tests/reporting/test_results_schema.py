"""What the schema of results.json refuses."""

import copy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from tests.support.results import SCHEMA, VALIDATOR, checked_results


@pytest.fixture
def results(finished_run: Path) -> dict[str, Any]:
    """Return a copy of the results of a run with labels."""
    return copy.deepcopy(checked_results(finished_run))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


WRONG: dict[str, tuple[str, Any]] = {
    "another format": ("format", "painting-similarity results 2"),
    "no date": ("run.date", "yesterday"),
    "a private option": ("settings", {"download.contact": "me@x.org"}),
    "a nested setting": ("settings.seed", {"a": 1}),
    "a short hash": ("inputs.images", "0123"),
    "a hash of other letters": ("inputs.labels.folder", "z" * 16),
    "a number for a version": ("versions.torch", 2.1),
    "no commit": ("versions.commit", "main"),
    "no cores": ("hardware.cores", 0),
    "one image": ("counts.images", 1),
    "half an image": ("counts.skipped", 0.5),
    "another method": ("resampling.method", "jackknife"),
    "a text for a number": ("metrics.embedding.intra.value", "0.5"),
    "an unknown figure": ("metrics.embedding.intra.middle", 0.5),
    "an unknown group": ("metrics.others", {}),
    "units that are drawn": ("metrics.embedding.intra.resampled", "pixels"),
    "negative time": ("seconds.embed", -1),
    "more": ("more", 1),
}


@pytest.mark.parametrize("kind", WRONG)
def test_the_schema_refuses(kind: str, results: dict[str, Any]) -> None:
    name, value = WRONG[kind]
    *above, last = name.split(".")
    place = results
    for part in above:
        place = place[part]
    place[last] = value
    with pytest.raises(ValidationError):
        VALIDATOR.validate(results)


@pytest.mark.parametrize("name", SCHEMA["required"])
def test_the_schema_refuses_results_without(name: str, results: dict[str, Any]) -> None:
    del results[name]
    with pytest.raises(ValidationError, match=f"'{name}' is a required property"):
        VALIDATOR.validate(results)


def test_the_schema_refuses_half_an_interval(results: dict[str, Any]) -> None:
    del results["metrics"]["labels"]["folder"]["map_at_10"]["high"]
    with pytest.raises(ValidationError, match="'high' is a dependency of 'low'"):
        VALIDATOR.validate(results)
