"""What src.show --iiif writes is what data=iiif reads."""

import json
from dataclasses import replace
from pathlib import Path

from src.io.tables import map_text
from src.reporting.iiif_images import Picture, museum_picture
from src.reporting.iiif_manifest import manifest, manifest_text
from tests.support.iiif_checks import problems
from tests.support.iiif_galleries import gallery
from tests.support.iiif_host import IiifHost

PUBLIC = "https://museum.example"


def test_the_manifest_of_a_painting_and_its_neighbors_is_a_gallery(
    host: IiifHost, tmp_path: Path
) -> None:
    first = gallery(host, tmp_path / "museum")
    public = map_text(first.works, lambda text: text.replace(host.address, PUBLIC))
    first = replace(first, works=public)  # a manifest names nothing on this machine
    rows = [row for row in range(len(first)) if first.works["iiif"][row]]
    address = f"{host.address}/neighbors.json"

    def picture(row: int) -> Picture:
        """Return an image as its museum publishes it."""
        found = museum_picture(first, row)
        assert found is not None
        return found

    neighbors = [(row, 0.5) for row in rows[1:]]
    written = manifest(address, first, rows[0], neighbors, picture, {"About": "Made for a test"})
    assert problems(json.loads(manifest_text(written))) == []
    text = manifest_text(written).replace(PUBLIC, host.address)
    host.documents["/neighbors.json"] = text.encode()
    again = gallery(host, tmp_path / "again", "/neighbors.json")
    expected = map_text(first.works, lambda text: text.replace(PUBLIC, host.address))
    expected = expected.iloc[rows].reset_index(drop=True)
    for column in ("image_id", "file", "artist", "style", "decade", "iiif", "iiif_profile"):
        assert list(again.works[column]) == list(expected[column]), column
    assert set(again.works["object_id"]) == {address}
    assert all(map(str.endswith, again.works["title"], expected["title"]))
