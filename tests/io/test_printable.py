"""Text as it is shown: nothing hides, moves, repaints or reverses."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.io.printable import ENCLOSING, SHAPING, printable, printable_lines, without_invisible

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
texts = st.text(st.characters())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;pwned\x07", r"\x1b]0;pwned\x07"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202eteneM", r"\u202eteneM"),
        ("a\u2066b\u2069", r"a\u2066b\u2069"),
        ("one\u2028two\u2029", r"one\u2028two\u2029"),
        ("Mo\u200bnet", r"Mo\u200bnet"),
        ("Mo\u200dnet", r"Mo\u200dnet"),
        ("Ng\u1ed9\u200e", "Ng\u1ed9\\u200e"),
        ("\u05e9\u200c\u200c", "\u05e9\u200c\\u200c"),
        ("caf\udce9", r"caf\udce9"),
        ("\ue000\U000e0041\uffff", r"\ue000\U000e0041\uffff"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Nu descendant un escalier n\u00b0\u00a02, caf\u00e9",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: a joiner parts two letters
        "\u0915\u094d\u200d\u0937",  # Hindi: a joiner chooses the half form
        "\U0001f469\U0001f3fd\u200d\U0001f3a8 \u2764\ufe0f",  # an artist's emoji; its skin, color
        "\u05e9\u05dc\u05d5\u05dd\u200f!",
        "\u06dd\u0661",
        "\u4e2d\u6587",
    ],
)
def test_letters_of_all_scripts_stay(text: str) -> None:
    assert printable(text) == text == printable_lines(text) == without_invisible(text)


@given(texts)
def test_no_text_is_shown_with_what_cannot_be_seen(text: str) -> None:
    for shown in (printable(text), printable_lines(text).replace("\n", "").replace("\t", "")):
        found = [sign for sign in shown if unicodedata.category(sign) in HIDDEN]
        assert set(found) <= ENCLOSING | SHAPING
    assert printable(printable(text)) == printable(text)
    assert "\n" not in printable(text)
    printable(text).encode()  # raises no UnicodeEncodeError


@given(texts)
def test_only_formats_and_controls_are_dropped(text: str) -> None:
    rest = without_invisible(text)
    dropped = [sign for sign in text if sign not in rest]
    assert all(unicodedata.category(sign) in ("Cc", "Cf") for sign in dropped)
    assert not any(unicodedata.category(s) == "Cc" and not s.isspace() for s in rest)
