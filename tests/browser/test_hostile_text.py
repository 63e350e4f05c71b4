"""What others wrote stays text on every page and in all data; so does what an address holds."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from src.browser.data import DATA
from src.browser.server import application
from src.browser.site import NotThere, Site
from src.browser.views import VIEWS
from tests.support.hostile_texts import TEXTS, foreign_markup

# Values of parameters, some of which are several
ODD = {
    "numbers": ["-1", "0", "1e9", "9" * 5000, "%D9%A3", "NaN", "inf", "0x1", "1_0", "%2B1", "1.5"],
    "no text": ["", "%00", "%FF", "%ED%A0%80", "%F0%9F%98%80", "a" * 5000, "%E2%80%AE", "%26%3D"],
    "several": ["1,2,3", "1,,1", "0,0,1,1", "nan,inf,-1,0", "null", "%5B0%5D", "3&{name}=4", "3;4"],
    "markup": [quote(text) for text in TEXTS[::2]],
    "other markup": [quote(text) for text in TEXTS[1::2]],
}


class Recorded(dict[str, str]):
    """Parameters that note which names a view asks for."""

    def __init__(self, **given: str) -> None:
        super().__init__(given)
        self.names = set[str]()

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, and note its name."""
        self.names.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)


def parameters_of(site: Site, name: str) -> set[str]:
    """Return the names of the parameters that a view asks for."""
    given = Recorded(row="3", image="0" * 64)
    with contextlib.suppress(NotThere):
        VIEWS[name].view(site, site.runs[0], given)
    return given.names


@pytest.fixture
def client(hostile_site: Site) -> Iterator[TestClient]:
    """Return a client of the server of runs full of hostile texts."""
    app, address = application(hostile_site), "http://127.0.0.1:8050"
    with TestClient(app, address, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("name", VIEWS)
def test_no_text_becomes_markup_on_a_page(
    client: TestClient, hostile_site: Site, name: str
) -> None:
    shown = 0
    for run in hostile_site.runs:
        for row in range(len(run)) if VIEWS[name].per_row else [3]:
            answer = client.get(f"/{run.number}/{name}.html?row={row}")
            assert answer.status_code == 200
            assert foreign_markup(answer.text) == []
            shown += "evil" in answer.text
    assert shown


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", VIEWS)
def test_no_parameter_becomes_markup_or_an_unexpected_error(
    client: TestClient, hostile_site: Site, name: str, kind: str
) -> None:
    asked = 0
    for parameter in sorted(parameters_of(hostile_site, name) | {"unknown"}):
        others = "row=3&" if parameter != "row" else ""
        for value in ODD[kind]:
            query = f"{others}{quote(parameter)}={value.replace('{name}', quote(parameter))}"
            answer = client.get(f"/0/{name}.html?{query}")
            assert answer.status_code in (200, 404), (parameter, value)
            assert foreign_markup(answer.text) == [], (parameter, value)
            asked += 1
    assert asked


def texts(value: Any) -> Iterator[str]:
    """Yield all texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for pair in value.items() for part in pair for text in texts(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in texts(part))


@pytest.mark.parametrize("name", DATA)
def test_no_text_ends_the_script_of_a_chunk_of_data(
    client: TestClient, hostile_site: Site, name: str
) -> None:
    for run in hostile_site.runs:
        for number in range(DATA[name].count(run)):
            answer = client.get(f"/{run.number}/data/{name}/{number:03d}.js")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/javascript")
            found = re.fullmatch(r'received\("([\w-]+)", (\d+), (.*)\)\n', answer.text)
            assert found is not None
            assert (found[1], int(found[2])) == (name, number)
            assert not re.search("[<>&\u2028\u2029\ud800-\udfff]", found[3])
            assert list(texts(json.loads(found[3]))) is not None


def test_what_markup_is_foreign() -> None:
    for text in (
        "<evil>",
        "<p evil=1>",
        "<p onclick=x>",
        "<p style='x'>",
        "<!-- -->",
        "<![CDATA[x]]>",
    ):
        assert foreign_markup(f"<!doctype html><p>{text}</p>")
    for text in (
        "<script>x</script>",
        "<a href='javascript:x'>",
        "<a href='//evil.example'>",
        "<iframe>",
    ):
        assert foreign_markup(text)
    assert (
        foreign_markup("<!doctype html><p class='a'>&lt;evil&gt;<a href='b.html?c=%3Cevil'>") == []
    )
