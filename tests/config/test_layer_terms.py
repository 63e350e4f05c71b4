"""Weights in backbone.layer."""

import pytest

from src.config import Backbone
from src.config.layer_terms import Term, format_terms, parse_terms
from src.errors import UserError


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("layer2", [("layer2", 1)]),
        ("layer2*0.5+avgpool", [("layer2", 0.5), ("avgpool", 1)]),
        ("50%*2+features.1*.25", [("50%", 2), ("features.1", 0.25)]),
        ("a*1e-3+b*1E2", [("a", 0.001), ("b", 100)]),
        ("layer*+a*b", [("layer*", 1), ("a*b", 1)]),  # no numbers
        ("layer**2", [("layer*", 2)]),
        ("", [("", 1)]),
    ],
)
def test_terms_have_a_weight_each(text: str, terms: list[tuple[str, float]]) -> None:
    assert parse_terms(text) == terms


@pytest.mark.parametrize(
    "weight", ["0", "-1", "0.0", "-.5", "inf", "-inf", "NaN", "1e999", "1e-999"]
)
def test_a_weight_is_positive_and_finite(weight: str) -> None:
    with pytest.raises(UserError) as refused:
        Backbone(weights="random", layer=f"layer1*{weight}+layer2")
    assert str(refused.value) == (
        f"backbone.layer=layer1*{weight}+layer2: the weight of layer1 must be a positive finite"
        f" number, got {weight}"
    )


@pytest.mark.parametrize(
    ("texts", "canonical"),
    [
        (["a*0.5+b", "a*.50+b*1", "a*5e-1+b*1.0"], "a*0.5+b"),
        (["a+b", "a*2+b*2.0", "a*1+b"], "a+b"),
        (["a*7", "a"], "a"),
        (["a*1e20+b", "a*100000000000000000000+b"], "a*1e20+b"),
        (["a*0.1+b*0.30000000000000004"], "a*0.1+b*0.30000000000000004"),
    ],
)
def test_equal_weights_are_written_in_one_way(texts: list[str], canonical: str) -> None:
    assert {format_terms(parse_terms(text)) for text in texts} == {canonical}
    assert format_terms(parse_terms(canonical)) == canonical


def test_terms_are_read_back() -> None:
    terms = [Term("a", 1 / 3), Term("b", 1e-17), Term("c")]
    assert parse_terms(format_terms(terms)) == terms
