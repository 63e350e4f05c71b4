"""An image file and its neighbors in a gallery: as lines to print, as a figure, and as JSON."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from src.gallery import Gallery
from src.gallery.captions import caption_of, date_of, readable_title
from src.io.printable import printable
from src.reporting.contact_sheets import About, Card, card, neighbors_page
from src.reporting.pages import SCREEN_DPI, Page
from src.reporting.phrases import cite, describe_order, describe_run, warn_of
from src.reporting.run_folder import RunFolder
from src.reporting.text import as_utf8

MAX_NAME_BYTES = 100  # of a query's file in the name of its picture


@dataclass(frozen=True)
class QueryAnswer:
    """The neighbors of an image, best first, with their scores, and what is said about them."""

    path: Path
    gallery: Gallery
    neighbors: list[tuple[int, float]]
    about: About

    def lines(self) -> Iterator[str]:
        """Yield lines of text: the query, what to know, and the neighbors."""
        yield self.about.title
        yield from filter(None, [*self.about.facts, self.about.warning])
        for rank, (row, score) in enumerate(self.neighbors, 1):
            yield f"{rank:>4}  {score:.4f}   row {row:<7} {self.gallery.caption(row)}"

    def page(self, dpi: int = SCREEN_DPI) -> Page:
        """Return the figure."""
        title = readable_title(printable(self.path.stem))
        query = Card(self.path, "query", title, "", is_query=True)
        cards = [card(self.gallery, row, f"{score:.4f}") for row, score in self.neighbors]
        return neighbors_page(query, cards, self.about, dpi)

    def as_json(self, run: Path) -> str:
        """Return one line of JSON: query, run, and by neighbor what is known about it."""
        works = self.gallery.works
        neighbors = []
        for row, score in self.neighbors:
            caption, work = caption_of(self.gallery.work(row)), works.iloc[row]
            facts = {"row": row, "file": work["file"], "title": caption.title}
            facts |= {"artist": caption.artist, "date": date_of(self.gallery.work(row))}
            facts |= {"score": round(score, 6)}
            facts |= {name: work[name] if name in works else "" for name in ("page", "iiif")}
            neighbors.append(facts)
        # escaped, so that a title stays one line, and bytes of a name that are not UTF-8 stay
        return json.dumps({"query": str(self.path), "run": str(run), "neighbors": neighbors})


def query_answer(
    run: RunFolder, gallery: Gallery, path: Path, neighbors: list[tuple[int, float]]
) -> QueryAnswer:
    """Return what is said about an image and its neighbors in the gallery of a run."""
    settings = run.settings()
    about = About(
        printable(path.name),
        list(filter(None, [describe_run(settings), describe_order(settings)])),
        warn_of(settings),
        source=cite(gallery, settings.get("data.open_access") is True, run.path),
    )
    return QueryAnswer(path, gallery, neighbors, about)


def picture_name(path: Path, taken: set[str]) -> str:
    """Return the name of the picture of a query; it is added to those that are taken.

    >>> taken = set()
    >>> [picture_name(Path(name), taken) for name in ("a/Sea & sky.jpg", "b/sea & Sky.png")]
    ['query-Sea-sky.jpg', 'query-sea-Sky-2.jpg']
    """
    stem = re.sub(r"[^\w.-]+", "-", as_utf8(path.stem)).encode()[:MAX_NAME_BYTES]
    base = stem.decode("utf-8", "ignore").strip("-.") or "image"
    number, name = 1, f"query-{base}.jpg"
    while name.casefold() in taken:  # some file systems do not tell case apart
        number += 1
        name = f"query-{base}-{number}.jpg"
    taken.add(name.casefold())
    return name
