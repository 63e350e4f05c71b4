"""An export of a run whose files are gone says so, and not where they were."""

import shutil
from pathlib import Path

from src.browser.export import export
from src.browser.export_plan import Export
from src.browser.opened import open_runs
from src.browser.site import Site
from src.browser.views import NAVIGATION
from src.io.outputs import Outputs
from src.reporting.run_folder import RunFolder
from tests.support.exported import pages


def test_what_is_gone_names_no_folder(moved: Path, tmp_path: Path) -> None:
    (moved / "map-pca.npy").unlink(missing_ok=True)
    site = Site(open_runs([moved]), Outputs(tmp_path / "cache"), NAVIGATION)
    (tmp_path / "paintings").rename(tmp_path / "elsewhere")
    shutil.rmtree(moved / RunFolder(moved).paths()["embeddings"])
    folder = tmp_path / "site"
    export(site, Export(folder))
    gallery, plot, skipped = (
        (folder / "0" / f"{name}.html").read_text() for name in ("gallery", "map", "skipped")
    )
    assert "not where the run has read them any more." in gallery
    assert "because the features of this run cannot be read." in plot
    assert "because the list of them cannot be read." in skipped
    files = [path for path in folder.rglob("*") if path.suffix in (".html", ".js", ".json")]
    texts = {path: path.read_text() for path in files}
    bodies = [body for _, body in pages(folder)]
    assert len(bodies) > len(site.runs[0])
    for private in (str(tmp_path), str(Path.home())):
        assert not [path for path, text in texts.items() if private in text]
        assert not [body for body in bodies if private in body]
