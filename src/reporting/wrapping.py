"""Break text into lines that fit a width."""

from bisect import bisect_left

from src.reporting.fonts import Face


def wrap_text(text: str, face: Face, width: int, lines: int = 1) -> list[str]:
    """Return text as at most `lines` lines of at most `width` pixels, with "…" if it is cut."""
    words = " ".join(text.split())
    rows: list[str] = []
    while words and len(rows) < lines:
        end = fitting_letters(words, face, width)
        if end < len(words):
            space = words.rfind(" ", 1, end + 1)
            end = space if space > 0 else max(1, end)
        rows.append(words[:end])
        words = words[end:].lstrip()
    if words:
        last = f"{rows[-1]} {words}"
        rows[-1] = f"{last[: fitting_letters(last, face, width, '…')].rstrip()}…"
    return rows


def fitting_letters(text: str, face: Face, width: int, suffix: str = "") -> int:
    """Return how many letters from the start of text fit into width, with suffix behind them.

    Measures only about what fits, and that a few times, however long the text is.
    """

    def is_too_wide(count: int) -> bool:
        """Return whether that many letters are too wide."""
        return face.getlength(text[:count] + suffix) > width

    bound = 1
    while bound < len(text) and not is_too_wide(bound):
        bound *= 2
    return bisect_left(range(1, min(bound, len(text)) + 1), True, key=is_too_wide)
