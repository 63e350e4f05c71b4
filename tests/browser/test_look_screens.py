"""Every page in Chromium on screens and for people of all kinds: a phone, dark, axe's rules."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.support.looked_at import EVIL_ROW, LONG_ROW
from tests.support.looking import PHONE, Look, looking

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TABLET = 800  # pixels
PAGES: dict[str, dict[str, Any]] = {
    "gallery": {"q": "still"},
    "painting": {"row": EVIL_ROW, "only": "other-artist"},
    "compare": {"row": LONG_ROW},
    "disagreements": {},
    "hubs": {},
    "duplicates": {},
    "skipped": {},
    "runs": {},
    "map": {"box": "0,0,65535,65535"},
    "query": {"row": LONG_ROW},
}
every_page = pytest.mark.parametrize("name", PAGES)
BY_SCRIPTS = ("gallery", "painting", "compare", "duplicates")  # which put these together in files
FINDING = {"resultTypes": ["violations"], "preload": False}  # preloading needs requests
ALL_RULES = FINDING | {"rules": {"target-size": {"enabled": True}}}
OF_COLORS = FINDING | {"runOnly": ["color-contrast", "link-in-text-block"]}
# Parts that stand out of the page on the right, and are not inside of something that scrolls
OUT = """() => [...document.querySelectorAll("body *")].filter(part => {
  const {width, right} = part.getBoundingClientRect()
  if (!width || right <= innerWidth + 1) return false
  for (let above = part.parentElement; above !== document.body; above = above.parentElement)
    if (getComputedStyle(above).overflowX !== "visible") return false
  return true
}).map(part => part.outerHTML.slice(0, 120))"""
UNFOLD = "() => document.querySelectorAll('details').forEach(part => { part.open = true })"


def opened(look: Look, name: str) -> Page:
    """Open a page and all that is folded up on it, so that its parts are looked at."""
    page = look.go(name, **PAGES[name])
    if name == "map":
        page.locator("#map[data-drawn]").wait_for(state="attached")
    page.evaluate(UNFOLD)
    return page


def violations(page: Page, options: dict[str, Any]) -> list[str]:
    """Return what axe finds serious or critical, with the parts of the page."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate(f"() => axe.run({json.dumps(options)})")["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@every_page
@pytest.mark.parametrize("kind", ["server"])
def test_axe_finds_nothing_serious(look: Look, name: str) -> None:
    page = opened(look, name)
    assert violations(page, ALL_RULES) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, OF_COLORS) == []
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    assert violations(page, ALL_RULES) == []


@pytest.mark.parametrize("name", BY_SCRIPTS)
@pytest.mark.parametrize("kind", ["files"])
def test_axe_finds_nothing_serious_in_files(look: Look, name: str) -> None:
    assert violations(opened(look, name), ALL_RULES) == []


@every_page
def test_a_phone_scrolls_down_only(chromium: "Browser", base: str, kind: str, name: str) -> None:
    with looking(chromium, base, kind, viewport=PHONE, has_touch=True, is_mobile=True) as look:
        page = opened(look, name)
        for width in (PHONE["width"], TABLET):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate(OUT) == []
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
            assert page.evaluate("() => innerWidth") == width


def test_dark_is_dark(chromium: "Browser", base: str, kind: str) -> None:
    shade = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    for scheme, is_dark in (("light", False), ("dark", True)):
        with looking(chromium, base, kind, color_scheme=scheme) as look:
            assert all((part < 80) == is_dark for part in look.go("gallery").evaluate(shade))


@pytest.mark.parametrize("name", ["gallery", "painting", "map"])
def test_nothing_moves_for_those_who_want_no_motion(look: Look, name: str) -> None:
    look.page.emulate_media(reduced_motion="reduce")
    page = opened(look, name)
    assert page.evaluate("() => document.getAnimations().length") == 0
    behavior = "() => getComputedStyle(document.documentElement).scrollBehavior"
    assert page.evaluate(behavior) == "auto"


@pytest.mark.parametrize("name", ["gallery", "painting"])
def test_the_keyboard_reaches_the_content_first(look: Look, name: str) -> None:
    page = look.go(name, **PAGES[name])
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
