"""The run that --baseline names, by its folder, its name in the table, or its settings."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from src.config.names import option_defaults
from src.config.validation import expand_home
from src.errors import UserError, did_you_mean
from src.leaderboard.board import Board
from src.leaderboard.runs import Run
from src.reporting.phrases import plain_value
from src.reporting.run_folder import CONFIG
from src.reporting.text import listed


def with_baseline(boards: Sequence[Board], text: str, incomplete: Sequence[Run]) -> list[Board]:
    """Return the boards; one that has the named run has it as its baseline.

    Raises UserError if no board has it, or if several runs of a board are meant.
    """
    wanted = _settings(text) if "=" in text and not Path(expand_home(text)).is_dir() else None
    if wanted is not None:
        _check_names(text, wanted, boards)
    found: list[Board] = []
    for board in boards:
        runs = _named(text, board.runs, board.names) if wanted is None else _matching(board, wanted)
        if len(runs) > 1:
            which = listed([f"{board.names[at]} ({board.labels[at]})" for at in runs])
            raise UserError(
                f"--baseline {text} fits {len(runs)} runs of a board: {which}; give the name of"
                " one, or more settings"
            )
        found.append(replace(board, baseline=board.runs[runs[0]]) if runs else board)
    if not any(board.baseline for board in found):
        raise UserError(f"--baseline {text}: {_why_none(text, wanted, boards, incomplete)}")
    return found


def _settings(text: str) -> dict[str, str]:
    """Return settings given as name=value,name=value, by name; a value may hold commas."""
    pairs = [part.partition("=") for part in re.split(r",(?=[\w.]+=)", text)]
    if not all(name and value for name, _, value in pairs):
        raise UserError(
            f"--baseline {text}: give a run, or settings as name=value,name=value, such as"
            " backbone.layer=layer4,similarity.postprocess=none"
        )
    return {name.strip(): value for name, _, value in pairs}


def _check_names(text: str, wanted: dict[str, str], boards: Sequence[Board]) -> None:
    """Raise UserError for a setting that no run has."""
    known = {name for board in boards for run in board.runs for name in run.settings}
    for name in wanted:
        if name not in known | option_defaults().keys():
            raise UserError(
                f"--baseline {text}: no run has a setting {name}{did_you_mean(name, known)}"
            )


def _named(text: str, runs: Sequence[Run], names: Sequence[str]) -> list[int]:
    """Return the places of the runs with this folder; else those with this name in the table."""
    folder = Path(expand_home(text)).resolve()
    by_folder = [at for at, run in enumerate(runs) if run.folder.resolve() == folder]
    by_name = [at for at, name in enumerate(names) if name == text]
    return by_folder or by_name or [at for at, run in enumerate(runs) if run.folder.name == text]


def _matching(board: Board, wanted: dict[str, str]) -> list[int]:
    """Return the places of the runs with these settings, also as the table shortens them."""
    return [
        at
        for at, run in enumerate(board.runs)
        if all(
            _has(run, name, text) or (name in board.texts and board.texts[name][at] == text)
            for name, text in wanted.items()
        )
    ]


def _has(run: Run, name: str, text: str) -> bool:
    """Return whether the setting of a run is meant by a text: as given to it, stored or written."""
    if f"{name}={text}" in run.overrides:
        return True
    value = _value(run, name)
    return text in (str(value), plain_value(name, value)) or _same(_parsed(text), value)


def _value(run: Run, name: str) -> Any:
    """Return a setting of a run, its default for one made before the option was."""
    return run.settings.get(name, option_defaults().get(name))


def _parsed(text: str) -> Any:
    """Return a text as YAML reads it, as Hydra does; the text itself if it cannot be read."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def _same(first: Any, second: Any) -> bool:
    """Return whether two values are equal; true is not 1."""
    return bool(first == second) and isinstance(first, bool) == isinstance(second, bool)


def _why_none(
    text: str,
    wanted: dict[str, str] | None,
    boards: Sequence[Board],
    incomplete: Sequence[Run],
) -> str:
    """Return why no run is meant, and which there are."""
    if wanted is None:
        left_out = [(run, f"is incomplete: {run.error}") for run in incomplete]
        for board in boards:
            left_out += [(run, f"has no {board.metric}") for run in board.missing_metric]
        for at in _named(text, [run for run, _ in left_out], []):
            return f"that run {left_out[at][1]}"
        if Path(expand_home(text), CONFIG).is_file():
            return "that run is not one of those compared: give its folder, too"
        names = [name for board in boards for name in board.names]
        return f"no run is called that; there are {listed(names)}{did_you_mean(text, names)}"
    runs = [run for board in boards for run in board.runs]
    for name, value in wanted.items():
        if not any(_has(run, name, value) for run in runs):
            found = dict.fromkeys(plain_value(name, _value(run, name)) for run in runs)
            return f"no run has {name}={value}; the runs have {listed([*found])}"
    return "no run has all of these settings"
