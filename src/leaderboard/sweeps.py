"""The jobs of a sweep and the command that repeats one, from files that anybody may have written.

Imports no torch.
"""

import math
from functools import cache, lru_cache
from itertools import accumulate, islice, product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, RangeSweep, ValueType
from hydra.errors import HydraException

from src.config.names import option_names
from src.config.overrides import INTERPOLATION
from src.io.bounded import damaged, read_yaml

MAX_JOBS = 10_000  # of a sweep
# Of the overrides of a run or a sweep: Hydra's parser takes a second for more, or longer
MAX_OVERRIDES = 1000
MAX_LETTERS = 100_000
MAX_VALUE = 10_000  # letters of one, of all with brackets, and of a command that is printed
MAX_BRACKETS = 50  # in each other
FINITE = (ValueType.CHOICE_SWEEP, ValueType.SIMPLE_CHOICE_SWEEP, ValueType.RANGE_SWEEP)
known_names = cache(option_names)


def sweep_jobs(path: Path) -> list[tuple[str, ...]]:
    """Return the overrides of each job of a sweep, by number, from its multirun.yaml.

    There are none if the file does not tell. Raises UserError if it is damaged, or if the sweep has
    more than MAX_JOBS jobs.
    """
    config = read_yaml(path) or {}
    try:
        hydra = config.get("hydra") or {}
        if not hydra or hydra["sweep"]["subdir"] != "${hydra.job.num}":
            return []
        if not hydra["sweeper"]["_target_"].endswith(".BasicSweeper"):
            return []  # other sweepers choose the jobs as they go
        params = (hydra["sweeper"]["params"] or {}).items()
        words = [*(f"{name}={value}" for name, value in params), *hydra["overrides"]["task"]]
    except (AttributeError, KeyError, TypeError) as error:
        raise damaged(path, "not the settings of a sweep") from error
    overrides = _parse(words, path)
    if any(override.value_type is ValueType.GLOB_CHOICE_SWEEP for override in overrides):
        return []  # glob(*) depends on the files of that time
    choices = {override.get_key_element(): _choices(override, path) for override in overrides}
    if math.prod(map(len, choices.values())) > MAX_JOBS:
        raise damaged(path, f"more than {MAX_JOBS} jobs")
    return list(product(*choices.values()))


def _parse(words: list[Any], path: Path) -> list[Override]:
    """Return overrides as Hydra reads them. Raises UserError."""
    if not all(isinstance(word, str) for word in words):
        raise damaged(path, "its overrides are no texts")
    if reason := why_not_parsed(words):
        raise damaged(path, reason)
    try:
        return OverridesParser.create().parse_overrides(words)
    except (HydraException, RecursionError, ValueError) as error:
        raise damaged(path, f"overrides that Hydra does not read: {error}") from error


def why_not_parsed(words: list[str]) -> str:
    """Return why Hydra's parser, which is slow, is not given these overrides, "" if it is."""
    if len(words) > MAX_OVERRIDES or sum(map(len, words)) > MAX_LETTERS:
        return f"more than {MAX_OVERRIDES} overrides, or too long ones"
    nested = 0  # letters, as time grows with the square of the length of a list
    for word in words:
        nested += len(word) if set(word) & set("[{(") else 0
        if max(len(word), nested) > MAX_VALUE:
            return f"{word[:80]} is too long"
        opened = (1 if sign in "([{" else -1 for sign in word if sign in "()[]{}")
        if max(accumulate(opened), default=0) > MAX_BRACKETS:
            return f"{word[:80]} has more than {MAX_BRACKETS} brackets in each other"
    return ""


def _choices(override: Override, path: Path) -> list[str]:
    """Return the values that a sweep goes through, as name=value; at most MAX_JOBS."""
    name, value = override.get_key_element(), override.value()
    if not override.is_sweep_override():
        return [f"{name}={override.get_value_element_as_str()}"]
    if override.value_type not in FINITE:
        raise damaged(path, f"{name} goes through no finite number of values")
    # counted before Hydra shuffles them, for which it lists them all
    try:
        if isinstance(value, RangeSweep):
            counted = sum(1 for _ in islice(value.range(), MAX_JOBS + 1))
            if counted > MAX_JOBS:
                raise damaged(path, f"more than {MAX_JOBS} jobs")
        return [f"{name}={text}" for text in override.sweep_string_iterator()]
    except (HydraException, ValueError, ArithmeticError) as error:  # a step of 0, or no number
        raise damaged(path, f"{name}: {error}") from error


def why_not_repeated(overrides: list[str]) -> str:
    """Return why no command is printed that repeats a run with these overrides, "" if it is.

    People paste the command into a shell: it gives values to options of this program, and does
    nothing else that a foreign run folder may ask for.
    """
    if sum(map(len, overrides)) > MAX_VALUE:
        return "its options are too long"
    if reason := why_not_parsed(overrides):
        return reason
    return next(filter(None, map(_why_not_set, overrides)), "")


def why_not_written(overrides: list[str], folder: Path) -> str:
    """Return why repeating a run in its folder would write elsewhere, "" if it would not.

    outputs must hold the folder, or be relative and below the working directory.
    """
    for word in filter(lambda word: word.startswith("outputs="), overrides):
        value = OverridesParser.create().parse_override(word).value()
        text = str(getattr(value, "text", value))
        outputs = Path(text).expanduser().resolve()
        is_here = not Path(text).is_absolute() and outputs.is_relative_to(Path.cwd())
        if not is_here and not folder.resolve().is_relative_to(outputs):
            return f"{word[:80]} does not hold the run"
    return ""


@lru_cache(maxsize=4096)  # the jobs of a sweep share most overrides
def _why_not_set(word: str) -> str:
    """Return why an override is not repeated, "" if it gives a value to an option."""
    try:
        override = OverridesParser.create().parse_override(word)
    except (HydraException, RecursionError, ValueError):
        override = None
    if override is None or override.type is not OverrideType.CHANGE:
        return f"{word[:80]} does not set an option"
    if override.get_key_element() not in known_names():
        return f"{override.get_key_element()[:80]} is not an option of this program"
    if override.is_sweep_override():
        return f"{word[:80]} has several values"
    if any(len(match[1]) % 2 == 0 for match in INTERPOLATION.finditer(word)):
        return f"{word[:80]} depends on the environment"
    return ""
