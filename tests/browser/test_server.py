"""The server: every page and file of a site by its address."""

import pytest
from starlette.testclient import TestClient

from src.browser.views import VIEWS


@pytest.mark.parametrize("name", VIEWS)
def test_every_page_of_each_run_is_served(client: TestClient, name: str) -> None:
    for run in (0, 1):
        answer = client.get(f"/{run}/{name}.html?row=3")
        assert answer.status_code == 200
        assert "<h1" in answer.text
