"""data=iiif as a stage: collections, manifests, images, works.csv."""

import json
from pathlib import Path

import pandas as pd
import pytest

from src.config import Similarity
from src.config.enums import Exclude, View
from tests.gallery.iiif.conftest import WORKS
from tests.support.iiif_documents import info
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


def test_sizes_that_a_manifest_lists_need_no_info_json(host: IiifHost, tmp_path: Path) -> None:
    image_id, record = next(iter(host.records.items()))
    text = json.dumps(host.documents["/p3/100"])
    sizes = json.dumps(info(host.address, record, 0)["sizes"])
    listed = text.replace('"service": [{', f'"service": [{{"sizes": {sizes}, ')
    host.documents["/p3/100"] = json.loads(listed)
    assert gallery(host, tmp_path).works["width"][0] == "32"
    assert not host.asked[f"/level0/{image_id}/info.json"]


@pytest.mark.parametrize("size", [None, "1025"])
def test_large_images_keep_to_limits_that_only_an_info_json_tells(
    size: str | None, host: IiifHost, tmp_path: Path
) -> None:
    found = gallery(host, tmp_path, image_size=size)
    assert set(found.works["width"]) == {"64"}  # all that there is
    infos = [path for path in host.asked if path.endswith("info.json")]
    assert len(infos) == WORKS * 3 // 4
    assert set(found.works["iiif_width"]) == {"64", ""}


def test_the_first_view_of_each_object_is_enough(host: IiifHost, tmp_path: Path) -> None:
    canvases = [host.documents[f"/p3/{n}"]["items"][0] for n in (101, 102)]
    host.documents["/p3/101"] |= {"items": canvases}
    whole = host.documents["/p3/first.json"]
    host.documents["/p3/two.json"] = whole | {"items": whole["items"][1:4:2]}
    every = gallery(host, tmp_path / "all", "/p3/two.json")
    assert list(every.works["view"]) == ["primary", "alternate", "primary"]
    assert every.works["object_id"].nunique() == 2
    first = gallery(host, tmp_path / "first", "/p3/two.json", view=View.primary)
    assert list(first.works["image_id"]) == list(every.works["image_id"][[0, 2]])


def test_a_sample_needs_only_its_own_images(host: IiifHost, tmp_path: Path) -> None:
    few = gallery(host, tmp_path, limit=5)
    images = [path for path in host.asked if path.endswith(".jpg")]
    assert (len(few), len(images)) == (5, 5)
    assert gallery(host, tmp_path, limit=5).name == few.name


def test_refresh_finds_what_has_changed(host: IiifHost, tmp_path: Path) -> None:
    gallery(host, tmp_path)
    title = {"en": ["A new title"]}
    host.documents["/p3/101"] |= {"label": title}
    whole = host.documents["/p3/first.json"]
    host.documents["/p3/first.json"] = whole | {"items": whole["items"][1:]}
    assert gallery(host, tmp_path).works["title"][1] == "Work 1"
    host.sent.clear()
    found = gallery(host, tmp_path, refresh=True)
    assert (len(found), found.works["title"][0]) == (WORKS - 1, "A new title")
    assert len(host.sent) == 2  # all others have not changed


def test_other_views_of_an_object_may_be_left_out(host: IiifHost, tmp_path: Path) -> None:
    canvases = [host.documents[f"/p3/{n}"]["items"][0] for n in (101, 102, 103)]
    host.documents["/p3/101"] |= {"items": canvases}
    found = gallery(host, tmp_path, max_manifests=2)
    groups = found.exclusion_groups(Similarity(exclude=Exclude.same_object, top_k=1))
    assert list(groups) == [0, 1, 1, 1]
