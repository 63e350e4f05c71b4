"""Where the images of a run lie on the map: computed once, kept in the run's folder.

n = images.
"""

import logging
import time
from dataclasses import dataclass, field
from threading import Lock, Thread

import numpy as np
from numpy.typing import NDArray

from src.browser.umap_layout import estimated_seconds, umap_in_process
from src.errors import UserError
from src.reporting.compared import principal_components
from src.reporting.run_folder import RunFolder

log = logging.getLogger(__name__)

Positions = NDArray[np.float32]  # (n, 2)


@dataclass
class Layouts:
    """The layouts of a run, by name: pca and umap."""

    run: RunFolder
    n: int  # given, as pages that wait for UMAP ask every few seconds
    failure: str = ""  # why there is no UMAP layout although it was asked for
    _known: dict[str, Positions] = field(default_factory=dict)
    _computing: Lock = field(default_factory=Lock)  # one computes, others wait for its result
    _started: float | None = None  # when the UMAP layout was begun, in seconds of time.monotonic

    def find(self, name: str) -> Positions | None:
        """Return a layout that was computed before, None if there is none."""
        if name not in self._known:
            try:
                stored = self.run.layout(name, self.n)
            except UserError as error:
                log.warning("map: %s; it is computed again", error)
                return None
            if stored is not None:
                self._known[name] = stored
        return self._known.get(name)

    def pca(self) -> Positions:
        """Return the first two principal components of what was compared.

        Raises UserError or OSError if the features are gone.
        """
        with self._computing:
            found = self.find("pca")
            if found is not None:
                return found
            return self._keep("pca", principal_components(self.run.compared(), 2))

    def obstacle(self) -> str:
        """Return why there can be no map, "" if there can be one."""
        try:
            if self.find("pca") is None:
                self.run.compared()
        except (UserError, OSError) as error:
            return str(error)
        return ""

    def ready(self) -> list[str]:
        """Return the names of the layouts that are there, or are computed in seconds."""
        pca = [] if self.obstacle() else ["pca"]
        return pca + (["umap"] if self.find("umap") is not None else [])

    def begin_umap(self) -> int:
        """Begin to compute the UMAP layout, unless that was begun; return at once.

        Returns about how many seconds it still takes, at least 1.
        """
        with self._computing:
            if self._started is None:
                self._started = time.monotonic()
                Thread(target=self._compute_umap, name="umap", daemon=True).start()
            passed = time.monotonic() - self._started
        return max(1, round(estimated_seconds(self.n) - passed))

    def _compute_umap(self) -> None:
        try:
            self._keep("umap", umap_in_process(self.run.path))
        except Exception as error:  # pages would wait for ever for a thread that has ended
            is_foreseen = isinstance(error, UserError | OSError)
            log.warning("map: no UMAP layout: %s", error, exc_info=not is_foreseen)
            self.failure = str(error) or type(error).__name__

    def _keep(self, name: str, positions: Positions) -> Positions:
        """Keep a layout, in the run's folder if that can be written; return it."""
        self._known[name] = positions
        try:
            self.run.write_layout(name, positions)
        except OSError as error:
            log.warning("map: the layout is not stored, for %s", error)
        return positions
