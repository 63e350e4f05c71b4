"""data=iiif as a stage: collections, manifests, images, works.csv."""

from pathlib import Path

import pandas as pd
import pytest

from tests.gallery.iiif.conftest import WORKS
from tests.support.iiif_galleries import gallery
from tests.support.iiif_host import IiifHost


def test_works_csv_has_the_images_and_the_labels_of_the_metadata(
    host: IiifHost, tmp_path: Path
) -> None:
    found = gallery(host, tmp_path)
    assert (len(found), found.missing) == (WORKS, 0)
    works = found.works
    records = list(host.records.values())
    for column in ("title", "artist", "date"):
        assert list(works[column]) == [record[column] for record in records]
    first = works.iloc[0]
    assert first["object_id"] == f"{host.address}/p3/100"
    assert (first["style"], first["styles"]) == ("Style 0", "Style 0; Drawn")
    assert (first["decade"], first["metadata_file"]) == ("1650s", "a reserved name")
    assert (first["page"], first["wikidata"]) == (f"{host.address}/page/0", "Q100")
    assert first["rights"].startswith("http://creativecommons.org/")
    assert (first["attribution"], first["view"]) == ("A museum", "primary")
    assert list(works["collection"]) == ["first"] * (WORKS // 2) + ["second"] * (WORKS // 2)
    assert first["iiif"] == f"{host.address}/level0/{records[0]['image_id']}"
    assert first["iiif_profile"] == "http://iiif.io/api/image/2/level0.json"
    assert set(works["width"]) == {"32", "64"}  # 64: files without a service
    assert {"artist", "style", "collection"} <= set(found.label_columns())
    assert "rights" not in found.label_columns()


def test_both_versions_give_the_same_rows_but_for_addresses(host: IiifHost, tmp_path: Path) -> None:
    three = gallery(host, tmp_path / "3", "/p3/top.json").works
    two = gallery(host, tmp_path / "2", "/p2/top.json").works
    addresses = ["object_id"]
    assert list(two) == list(three)
    pd.testing.assert_frame_equal(two.drop(columns=addresses), three.drop(columns=addresses))
    assert list(two["object_id"]) == [url.replace("/p3/", "/p2/") for url in three["object_id"]]


@pytest.mark.parametrize("path", ["/p2/top.json", "/p3/top.json"])
def test_each_document_and_image_is_requested_once_though_collections_name_each_other(
    path: str, host: IiifHost, tmp_path: Path
) -> None:
    gallery(host, tmp_path, path)
    assert set(host.asked.values()) == {1}
    infos = [path for path in host.asked if path.endswith("info.json")]
    assert len(infos) == WORKS // 4  # only of level 0
    before = list(host.log)
    gallery(host, tmp_path, path)
    assert host.log == before
