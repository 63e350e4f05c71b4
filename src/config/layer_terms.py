"""The value of backbone.layer as terms: names of layers that are joined, each with its weight."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from src.errors import UserError

NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)(e-?\d+)?|-?inf|nan", re.IGNORECASE)


class Term(NamedTuple):
    """A layer, and the weight of its cosines among those of the layers that it is joined with."""

    layer: str
    weight: float = 1.0


def parse_terms(text: str) -> list[Term]:
    """Return the terms of a value of backbone.layer, in order.

    Raises UserError for a weight that is not positive and finite.

    >>> parse_terms("layer2*0.5+layer4")
    [Term(layer='layer2', weight=0.5), Term(layer='layer4', weight=1.0)]
    """
    terms = []
    for part in text.split("+"):
        layer, star, weight = part.rpartition("*")
        if not (star and NUMBER.fullmatch(weight)):
            terms.append(Term(part))
            continue
        if not 0 < float(weight) < math.inf:
            raise UserError(
                f"backbone.layer={text}: the weight of {layer} must be a positive finite number,"
                f" got {weight}"
            )
        terms.append(Term(layer, float(weight)))
    return terms


def format_terms(terms: Sequence[Term]) -> str:
    """Return terms as a value of backbone.layer; equal weights, which change nothing, are left out.

    >>> format_terms(parse_terms("layer2*.50+layer4*1.0")), format_terms(parse_terms("a*2+b*2"))
    ('layer2*0.5+layer4', 'a+b')
    """
    if len({term.weight for term in terms}) == 1:
        return "+".join(term.layer for term in terms)
    return "+".join(
        term.layer if term.weight == 1 else f"{term.layer}*{_shortest(term.weight)}"
        for term in terms
    )


def _shortest(number: float) -> str:
    """Return the shortest decimal that is read back as the number, without a plus sign."""
    return repr(number).removesuffix(".0").replace("e+", "e")
