"""The command that evaluates judgements, and the name of a judge."""

import shlex
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from src.browser import judging
from src.browser.judging import judge_name
from src.browser.site import Site


def test_the_page_gives_the_command_that_evaluates(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path, told in ((Path("/a b/j.csv"), "/a b/j.csv"), (tmp_path / "a b/j.csv", "a b/j.csv")):
        words = shlex.split(judging.evaluation_command(site.runs[0], path))
        assert words[:3] == ["python", "-m", "src.run"]
        assert words[-1] == f'data.judgements="{told}"'


def test_a_command_that_should_not_be_pasted_is_left_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["similarity.top_k=5", "data.judgements=old.csv"]
    monkeypatch.setattr(type(site.runs[0].files), "overrides", lambda self: given)
    command = judging.evaluation_command(site.runs[0], Path("/j.csv"))
    assert command == "python -m src.run similarity.top_k=5 'data.judgements=\"/j.csv\"'"
    given.append("hydra.run.dir=/etc")
    command = judging.evaluation_command(site.runs[0], Path("/j.csv"))
    assert command == "python -m src.run ... 'data.judgements=\"/j.csv\"'"


def test_a_name_of_a_judge_is_one_line() -> None:
    assert judge_name(" Ann \n Lee ") == "Ann Lee"
    with pytest.raises(ArgumentTypeError, match="at most 100 characters, got 101"):
        judge_name("a" * 101)
