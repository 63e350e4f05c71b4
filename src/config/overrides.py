"""Write options so that the shell and Hydra read back the same text."""

import re
import shlex

from hydra.core.override_parser.types import Quote, QuotedString

INTERPOLATION = re.compile(r"(\\*)\$\{")  # what OmegaConf replaces, unless a backslash precedes it


def quote_value(text: str) -> str:
    """Return a value in the double quotes of Hydra's grammar.

    >>> quote_value('the "Mona Lisa"')
    '"the \\\\"Mona Lisa\\\\""'
    """
    text = INTERPOLATION.sub(r"\1\1\\${", text)
    return QuotedString(text, Quote.double).with_quotes()


def shell_word(name: str, value: str, is_list: bool = False) -> str:
    """Return name=value as a word for the shell, quoted once for Hydra and once for the shell.

    The value of a list may stand in brackets; each of its parts is quoted.

    >>> print(shell_word("data.images", "a=b"))
    'data.images="a=b"'
    """
    if is_list:
        inner = value.removeprefix("[").removesuffix("]")
        parts = [part.strip().strip("\"'") for part in inner.split(",")]
        quoted = f"[{','.join(map(quote_value, parts))}]"
    else:
        quoted = quote_value(value)
    return shlex.quote(f"{name}={quoted}")
