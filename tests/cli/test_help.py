"""The text of --help."""

import pytest

from src.cli import help
from src.config import Config
from tests.support.commands import command


@pytest.mark.parametrize("name", ["run", "download"])
def test_help_names_the_command(name: str) -> None:
    assert (
        f"Usage:  python -m src.{name} [option=value ...]"
        in command(f"src.{name}", "--help").stdout
    )


def test_help_prints_the_bounds_of_an_option() -> None:
    bounds = {option.name: option.values for option in help.options(Config)}
    assert bounds["download.workers"] == "int, between 1 and 64"
    assert bounds["similarity.whiten_dim"] == "int | null, at least 1"
    assert bounds["tracking.project"] == "str"


def test_every_option_has_a_help_text() -> None:
    assert [option.name for option in help.options(Config) if not option.text] == []
    assert [option.name for option in help.source_options() if not option.text] == []
