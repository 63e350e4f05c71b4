"""Find the newest run or gallery below outputs."""

from pathlib import Path

from src.errors import UserError


def newest(folder: Path, pattern: str, remedy: str) -> Path:
    """Return the folder of the newest file that matches. Raises UserError if there is none."""
    files = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    if not files:
        raise UserError(f"there is nothing in {folder} yet: {remedy}")
    return files[-1].parent
