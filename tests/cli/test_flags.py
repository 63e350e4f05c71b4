"""Options written as flags, as other programs take them."""

import pytest

from src.cli.flags import options_called, refuse_flags
from src.errors import UserError
from tests.support.commands import command


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["--top_k", "5"], "--top_k: options have no dashes; write similarity.top_k=5"),
        (["--top-k=5"], "--top-k: .* write similarity.top_k=5"),
        (["data=demo", "--batch-size", "3"], "--batch-size: .* write data.batch_size=3"),
        (["--seed", "-m"], "--seed: .* write seed=<value>"),
        (["--workers", "2"], "write data.workers=2 or download.workers=2"),
        (["--nothing", "3"], "write name=value, python -m src.run --help lists the options"),
        (["--similarity.top_k", "3"], "write similarity.top_k=3"),
    ],
)
def test_a_flag_is_refused_with_the_option_to_write(words: list[str], advice: str) -> None:
    with pytest.raises(UserError, match=advice):
        refuse_flags(words)


@pytest.mark.parametrize(
    "words", [["-m", "seed=1,2"], ["--cfg", "job"], ["--help"], ["--multirun"], ["--hel"], []]
)
def test_flags_of_hydra_pass(words: list[str]) -> None:
    assert refuse_flags(words) is None


def test_the_command_answers_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    result = command("src.run", "--top_k", "5")
    assert result.returncode == 2
    assert result.stderr == "error: --top_k: options have no dashes; write similarity.top_k=5\n"


def test_a_name_without_its_group_is_completed() -> None:
    result = command("src.run", "top_k=5")
    assert "there is no option top_k; write similarity.top_k=...;" in result.stderr
    assert options_called("layer") == ["backbone.layer"]
