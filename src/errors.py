"""Errors the user can fix, and suggestions for misspelled names."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher

LIKE, MARGIN = 0.5, 0.1  # least likeness of a suggestion, from 0 to 1; how far behind the best
MOST = 3  # suggestions


class UserError(Exception):
    """What a user can mend: shown as one line, with the value, the bound and the way out."""

    code = 2  # the program's exit code
    at_work = False  # whether work had begun, whose log is worth keeping


@contextmanager
def at_work() -> Iterator[None]:
    """Mark a UserError of this block as one that ends work: the run's folder and log are kept."""
    try:
        yield
    except UserError as error:
        error.at_work = True
        raise


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean a, b or c?" for the known words most like word, or ""."""
    likeness = {other: SequenceMatcher(None, other, word).ratio() for other in known}
    least = max(LIKE, max(likeness.values(), default=0) - MARGIN)
    choices = sorted((o for o in likeness if likeness[o] >= least), key=lambda o: -likeness[o])
    if not choices:
        return ""
    *others, last = choices[:MOST]
    return f"; did you mean {' or '.join([', '.join(others), last] if others else [last])}?"
