"""Rights as programs compare them, and whose of the museum's images are open."""

from pathlib import Path

import pytest

from src.gallery.rights import CC0, rights_uri
from tests.support.nga_rows import EVERYTHING, catalog, columns, image, museum


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("https://creativecommons.org/publicdomain/zero/1.0/", CC0),
        ("http://www.creativecommons.org/publicdomain/zero/1.0/legalcode", CC0),
        ("https://creativecommons.org/licenses/by-nc-sa/3.0/de/deed.de", "by-nc-sa/3.0/de/"),
        ("https://creativecommons.org/publicdomain/mark/1.0", "mark/1.0/"),
        ("https://rightsstatements.org/page/NoC-OKLR/1.0/", "org/vocab/NoC-OKLR/1.0/"),
    ],
)
def test_what_is_defined_has_its_http_address(text: str, uri: str) -> None:
    assert rights_uri(text).endswith(uri)
    assert rights_uri(rights_uri(text)) == rights_uri(text)
    assert rights_uri(text).startswith("http://")


@pytest.mark.parametrize(
    "text",
    ["", "CC0", "https://creativecommons.org/", "https://creativecommons.org/licenses/free/1.0/"]
    + ["https://rightsstatements.org/vocab/Free/1.0/", f"{CC0}\n", f" {CC0}", f"{CC0}?evil"]
    + ["https://creativecommons.org.evil.example/licenses/by/4.0/"],
)
def test_other_texts_are_no_address_of_rights(text: str) -> None:
    assert rights_uri(text) == ""


def test_each_image_of_the_museum_tells_whether_it_is_open(tmp_path: Path) -> None:
    tables = museum(tmp_path, [image(1), image(2, openaccess="0"), image(3, openaccess="")])
    found = catalog(tables, **EVERYTHING)
    assert columns(found, "rights") == [(CC0,), ("",), ("",)]
    assert columns(found, "iiif_width", "iiif_height") == [("9000", "8000")] * 3
