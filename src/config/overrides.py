"""Options as name=value, so that the shell and Hydra read them back, and those a sweep varies."""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

from src.io.bounded import read_yaml
from src.io.printable import printable

MULTIRUN = "multirun.yaml"  # Hydra writes it into the folder of a sweep
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


def shell_join(words: Iterable[str]) -> str:
    """Return words as one line of printable text for the shell."""
    return " ".join(map(shell_quote, words))


def shell_quote(word: str) -> str:
    r"""Return a word as the shell reads it; one that cannot be shown, by bytes, as in bash and zsh.

    >>> print(shell_join(["a b", "caf\udce9", "\x1b[2J"]))
    'a b' $'caf\xe9' $'\x1b[2J'
    """
    if printable(word) == word:
        return shlex.quote(word)
    return f"$'{''.join(map(_shell_letter, word))}'"


def _shell_letter(letter: str) -> str:
    if letter in "'\\":
        return f"\\{letter}"
    if printable(letter) == letter:
        return letter
    is_byte = "\udc80" <= letter <= "\udcff"  # of a file name that is not UTF-8
    code = letter.encode("utf-8", "surrogateescape" if is_byte else "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in code)


def swept_values(sweep: Path, name: str) -> list[str]:
    """Return the values that the jobs of a sweep give to an option, [] if they do not vary it.

    sweep is the folder of the running sweep, into which Hydra has written MULTIRUN.
    """
    hydra = (read_yaml(sweep / MULTIRUN) or {}).get("hydra", {})
    params = hydra.get("sweeper", {}).get("params") or {}
    given = [f"{key}={value}" for key, value in params.items()]
    given += hydra.get("overrides", {}).get("task", [])  # these take precedence
    last = next((word for word in reversed(given) if word.startswith(f"{name}=")), None)
    if last is None:
        return []
    from hydra.core.override_parser.overrides_parser import OverridesParser  # imports a grammar

    override = OverridesParser.create().parse_override(last)
    values = override.sweep_iterator() if override.is_discrete_sweep() else ()
    return [value.text if isinstance(value, QuotedString) else str(value) for value in values]


def varied_overrides(sweep: Path, overrides: Sequence[str]) -> list[str]:
    """Return those of a job's overrides, name=value, that its sweep does not share among all jobs.

    sweep is the folder that holds MULTIRUN. Raises UserError if that file is damaged.
    """
    hydra = (read_yaml(sweep / MULTIRUN) or {}).get("hydra", {})
    params = hydra.get("sweeper", {}).get("params") or {}
    shared = {*hydra.get("overrides", {}).get("task", [])}
    shared |= {f"{name}={value}" for name, value in params.items()}
    known = {*map(_as_yaml, shared)}
    return [word for word in overrides if _as_yaml(word) not in known]


def _as_yaml(word: object) -> str:
    """Return an override with true, false and null in small letters: Hydra's sweeper writes True.

    >>> _as_yaml("evaluation.halves=True"), _as_yaml("data.artists=[True]")
    ('evaluation.halves=true', 'data.artists=[True]')
    """
    name, sign, value = str(word).partition("=")
    return f"{name}{sign}{value.lower() if value.lower() in ('true', 'false', 'null') else value}"
