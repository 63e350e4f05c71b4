"""Write pages as files: JPEG, PNG and PDF."""

from pathlib import Path

from src.io.files import atomic_write
from src.reporting.pages import Page

JPEG = (".jpg", ".jpeg")


def save_page(page: Page, path: Path, title: str) -> None:
    """Write a page as PDF, PNG or else JPEG, by the suffix of path.

    `title` becomes the title of a PDF.
    """
    suffix = path.suffix.lower()
    with atomic_write(path) as part:
        if suffix == ".pdf":
            from src.reporting.pdf import write_pdf  # imports more of matplotlib than the others

            write_pdf(page, part, title)
        else:
            kind = "PNG" if suffix == ".png" else "JPEG"
            page.draw().save(part, kind, quality=90, dpi=(page.dpi, page.dpi))
