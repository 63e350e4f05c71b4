"""A painting and its neighbors, as lines to print and as a figure."""

from collections.abc import Iterator
from dataclasses import dataclass

from src.gallery import Gallery
from src.reporting.contact_sheets import About, card, neighbors_page
from src.reporting.hits import Hits, main_hits
from src.reporting.pages import Page
from src.reporting.phrases import cite, describe_order, describe_run, warn_of
from src.reporting.run_folder import RunFolder


@dataclass(frozen=True)
class NeighborList:
    """The neighbors of one row, best first, with their scores, and what is said about them."""

    gallery: Gallery
    row: int
    neighbors: list[tuple[int, float]]
    hits: Hits
    about: About

    def lines(self) -> Iterator[str]:
        """Yield lines of text: the query, what to know, and the neighbors. A * marks a hit."""
        about, gallery = self.about, self.gallery
        yield about.title
        underlined = about.underlined.replace("underlined: ", "*: ")
        yield from filter(None, [*about.facts, about.warning, underlined])
        for rank, (neighbor, score) in enumerate(self.neighbors, 1):
            mark = "*" if self.hits(self.row, neighbor) else " "
            yield f"{rank:>4}  {score:.4f} {mark} row {neighbor:<7} {gallery.caption(neighbor)}"

    def page(self, dpi: int) -> Page:
        """Return the figure."""
        query = card(self.gallery, self.row, "query", is_query=True)
        cards = [
            card(self.gallery, neighbor, f"{score:.4f}", is_hit=self.hits(self.row, neighbor))
            for neighbor, score in self.neighbors
        ]
        return neighbors_page(query, cards, self.about, dpi)


def neighbor_list(run: RunFolder, gallery: Gallery, row: int) -> NeighborList:
    """Return the neighbors of a row of a run's gallery."""
    index, score = run.neighbors()
    settings = run.settings()
    hits = main_hits(gallery, run.metrics() or {}, settings)
    neighbors = list(zip(index[row].tolist(), score[row].tolist(), strict=True))
    source = cite(gallery, settings.get("data.open_access") is True, run.path)
    page = gallery.works["page"][row] if "page" in gallery.works else ""
    about = About(
        f"{gallery.caption(row)} (row {row} of {len(gallery)})",
        list(filter(None, [describe_run(settings), describe_order(settings)])),
        warn_of(settings),
        hits.count(row, [neighbor for neighbor, _ in neighbors]),
        f"{source}. Query: {page}" if page else source,
    )
    return NeighborList(gallery, row, neighbors, hits, about)
