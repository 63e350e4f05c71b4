"""Advice for the command line: what it says is valid for the shell and for Hydra."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from src.config.overrides import quote_value, shell_join, shell_word, swept_values
from tests.support.commands import command

ODD = "a b|it's|~/my 'works'|a\"b|C:\\dir\\|\\\\\"|$HOME `x` $(y)|${x}|\\${x}|[a,b]|{a:1}|é=#!*|"
signs = st.text(st.sampled_from("\\\"'a ~$,=[](){}é#!*`\t\n")) | st.text()


def value_of(word: str) -> object:
    """Return the value that Hydra and OmegaConf read from name=value."""
    parsed = OverridesParser.create().parse_override(word)
    return OmegaConf.create({"value": parsed.value()}).value


@given(signs)
def test_any_value_is_read_back_as_it_was(text: str) -> None:
    (word,) = shlex.split(shell_word("data.images", text))
    assert word.startswith("data.images=")
    assert value_of(word) == text == value_of(f"x={quote_value(text)}")


@pytest.mark.parametrize("text", ODD.split("|"))
def test_a_real_shell_takes_the_advice(text: str) -> None:
    line = f"printf %s {shell_word('data.images', text)}"
    word = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout
    assert value_of(word) == text


@pytest.mark.parametrize("word", ["it's", "caf\udce9 '\\", "\x1b[2J\u202e\n", "a\rb\t$x", "—é\x9b"])
def test_a_real_shell_reads_what_is_shown_of_any_word(word: str) -> None:
    line = shell_join(["printf", "%s", word])
    assert line.isprintable()
    assert subprocess.run(["bash", "-c", line], capture_output=True).stdout == os.fsencode(word)


def test_a_word_that_no_shell_can_give_is_shown_too() -> None:
    assert shell_join(["\ud800"]) == r"$'\xed\xa0\x80'"


def test_the_parts_of_a_list_are_quoted_one_by_one() -> None:
    (word,) = shlex.split(shell_word("data.artists", "[O'Neill, Künstler]", is_list=True))
    assert value_of(word) == ["O'Neill", "Künstler"]


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("data.images=~/x y", 'data.images="~/x y"'),
        ("data.images=it's", 'data.images="it\'s"'),
        ('data.images=a"b', 'data.images="a\\"b"'),
        ("data.images=a,'b c'", "data.images=\"a,'b c'\""),
        ("evaluation.labels=[Künstler,b c]", 'evaluation.labels=["Künstler","b c"]'),
    ],
)
def test_the_error_advises_words_that_the_shell_and_hydra_read(word: str, advice: str) -> None:
    printed = command("src.run", word).stderr
    assert printed == (
        f"error: cannot read {word}: write name=value, quoted like this: {shlex.quote(advice)}\n"
    )
    assert OverridesParser.create().parse_override(advice)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("nonsense", "cannot read nonsense: write name=value\n"),
        ("data.images=a\nb=c", "cannot read 'data.images=a\\nb=c': write a value with line breaks"),
    ],
)
def test_no_advice_is_given_where_none_fits(word: str, message: str) -> None:
    printed = command("src.run", word).stderr
    assert message in printed and printed.count("\n") == 1


@pytest.mark.parametrize(
    ("params", "task", "values"),
    [
        ({}, ["backbone.layer=layer1,layer2*0.5+layer3"], ["layer1", "layer2*0.5+layer3"]),
        ({"backbone.layer": "25%,75%+100%"}, ["seed=1"], ["25%", "75%+100%"]),
        ({"backbone.layer": "a,b"}, ["backbone.layer=c,'d'"], ["c", "d"]),  # as Hydra prefers
        ({"backbone.layer": "a,b"}, ["backbone.layer=c"], []),
        ({}, ["backbone.layer=range(1,3)"], ["1", "2"]),
        ({}, ["backbone.layer=interval(1,3)", "backbone.layers=[a,b]"], []),
        ({}, ["backbone=a,b", "backbone.pooling=avg,max"], []),
        (None, [], []),
    ],
)
def test_the_values_that_a_sweep_gives_to_an_option(
    tmp_path: Path, params: dict[str, str] | None, task: list[str], values: list[str]
) -> None:
    hydra = {"sweeper": {"params": params}, "overrides": {"task": task}}
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    assert swept_values(tmp_path, "backbone.layer") == values
