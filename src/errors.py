"""The error that users can fix, and suggestions for misspelled names."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher

MIN_LIKENESS = 0.5  # of a suggestion, as SequenceMatcher's ratio, 0 to 1
MAX_GAP = 0.1  # how far a suggestion's ratio may be below the best one's
MAX_SUGGESTIONS = 3


class UserError(Exception):
    """Error the user can fix. Printed as one line (value, allowed range, fix) without traceback."""

    code = 2  # exit code of the program
    keep_run_folder = False  # True for errors after work has begun, whose log is of use


@contextmanager
def keep_run_folder() -> Iterator[None]:
    """Mark a UserError of this block as one raised after work has begun.

    The command keeps the run folder with its log then, instead of deleting it.
    """
    try:
        yield
    except UserError as error:
        error.keep_run_folder = True
        raise


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return "; did you mean a, b or c?" with the choices most like word, or ""."""
    likeness, matcher = dict[str, float](), SequenceMatcher(None, "", word)
    for choice in choices:
        matcher.set_seq1(choice)
        # these are upper bounds, and spare most of a hundred thousand files the slow comparison
        if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= MIN_LIKENESS:
            likeness[choice] = matcher.ratio()
    threshold = max(MIN_LIKENESS, max(likeness.values(), default=0) - MAX_GAP)
    similar = sorted((c for c in likeness if likeness[c] >= threshold), key=lambda c: -likeness[c])
    if not similar:
        return ""
    *others, last = similar[:MAX_SUGGESTIONS]
    return f"; did you mean {' or '.join([', '.join(others), last] if others else [last])}?"
