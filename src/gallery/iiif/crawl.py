"""Follow a IIIF collection to its manifests: each once, within bounds of depth and number.

A document counts as found in breadth-first order, whatever arrives first, so that the same
collection always gives the same rows.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from src.errors import UserError
from src.gallery.iiif.documents import Documents, Unavailable
from src.gallery.iiif.presentation import Collection, Manifest, Reference, read_document

MAX_DEPTH = 20  # collections in each other
MAX_COLLECTIONS = 10_000  # documents, pages of collections among them
MAX_CANVASES = 300_000  # of all manifests together


@dataclass(frozen=True)
class Node:
    """A document to be read, or one that was embedded in another."""

    content: Reference | Collection | Manifest
    depth: int  # collections that it is in
    collection: str  # label of the one that lists it


@dataclass
class Found:
    """The manifests of a collection, with the labels of the collections that list them."""

    manifests: list[tuple[Manifest, str]] = field(default_factory=list)
    unavailable: int = 0  # documents that could not be had
    unlisted: dict[str, str] = field(default_factory=dict)  # collections that may be had later
    counts: Counter[str] = field(default_factory=Counter)  # of what was read and left out


class Crawl:
    """What is still to be read, and what has been listed."""

    def __init__(self, documents: Documents, language: str, max_manifests: int) -> None:
        self._documents, self._language = documents, language
        self._max_manifests = max_manifests
        self._queue = deque[Node]()
        self._seen = set[str]()  # addresses of documents
        self._manifests = self._collections = self._canvases = 0  # that were listed
        self.found = Found()

    def run(self, root: Collection | Manifest, url: str) -> Found:
        """Read what a document names, and what that names, until nothing is left."""
        self._seen |= {url, root.url}
        self._queue.append(Node(root, 0, ""))
        while self._queue:
            node = self._queue.popleft()
            content = self._read(node.content)
            if isinstance(content, Collection):
                self._expand(content, node)
            elif content is not None:
                self._add(content, node.collection)
        return self.found

    def _read(self, content: Reference | Collection | Manifest) -> Collection | Manifest | None:
        """Return a document, None if it cannot be had."""
        if not isinstance(content, Reference):
            return content
        try:
            node = self._documents.read(content.url)
            if (read := read_document(node, content.url, self._language)) is None:
                raise Unavailable("neither a collection nor a manifest")
        except Unavailable as reason:
            self.found.unavailable += 1
            self.found.counts[f"not read: {reason}"] += 1
            if content.is_collection and reason.is_transient:
                self.found.unlisted[content.url] = str(reason)
            return None
        return read

    def _add(self, manifest: Manifest, collection: str) -> None:
        """Keep a manifest. Raises UserError if all have too many canvases."""
        self._canvases += len(manifest.canvases)
        if self._canvases > MAX_CANVASES:
            raise UserError(
                f"data.manifest names more than {MAX_CANVASES} canvases: name one of the"
                " collections in it, or lower data.max_manifests"
            )
        self.found.manifests.append((manifest, collection))
        self.found.counts.update(manifest.skipped)

    def _expand(self, collection: Collection, node: Node) -> None:
        """Queue the members of a collection, and request those that are documents."""
        self.found.counts["members without a usable address"] += collection.invalid
        label = collection.label or node.collection
        listed = [member for member in collection.members if self._is_listed(member, node.depth)]
        is_page = [isinstance(member, Reference) and member.is_page for member in listed]
        self._queue += [
            Node(member, node.depth + (not page), label)
            for member, page in zip(listed, is_page, strict=True)
        ]
        self._documents.want(_urls(listed))

    def _is_listed(self, member: Reference | Collection | Manifest, depth: int) -> bool:
        """Return whether a member is read: it is new, and within the bounds. Count why not."""
        is_page = isinstance(member, Reference) and member.is_page
        is_collection = isinstance(member, Collection) or (
            isinstance(member, Reference) and member.is_collection
        )
        counts = self.found.counts
        if member.url and member.url in self._seen:
            counts["listed more than once"] += not is_page  # pages name each other
        elif is_collection and depth + (not is_page) > MAX_DEPTH:
            counts[f"collections nested in more than {MAX_DEPTH}"] += 1
        elif is_collection and self._collections >= MAX_COLLECTIONS:
            counts[f"collections beyond {MAX_COLLECTIONS}"] += 1
        elif not is_collection and self._manifests >= self._max_manifests:
            counts["manifests beyond data.max_manifests"] += 1
        else:
            self._seen |= {member.url} if member.url else set()
            self._collections += is_collection
            self._manifests += not is_collection
            return True
        return False


def _urls(members: Iterable[Reference | Collection | Manifest]) -> list[str]:
    return [member.url for member in members if isinstance(member, Reference)]
