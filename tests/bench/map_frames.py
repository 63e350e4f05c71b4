"""The map in Chromium, which draws without a GPU: its first paint, and frames as it is dragged."""

import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.conftest import FLAGS

if TYPE_CHECKING:
    from playwright.sync_api import Page

SECONDS = 3.0  # of dragging
# When the data was there, and when the first frame with it was shown
WATCH = """
const shown = () => requestAnimationFrame(() => { window.painted ??= performance.now() })
new MutationObserver(shown).observe(document, {subtree: true, attributeFilter: ["data-drawn"]})
new PerformanceObserver(list => list.getEntries().forEach(entry => {
  if (/map-pca/.test(entry.name)) window.loaded = entry.responseEnd
})).observe({type: "resource", buffered: true})
"""
PAINTED = """() => new Promise((resolve, reject) => {
  setTimeout(reject, 60000)
  const look = () => window.painted && window.loaded ? resolve(painted - loaded) : setTimeout(look)
  look()
})"""
COUNT = """() => {
  window.frames_ = 0
  const count = () => { frames_ += 1; requestAnimationFrame(count) }
  count()
}"""


def measured_map(address: str) -> Iterator[tuple[str, str, str]]:
    """Yield what was measured of the map at an address, the result and the bound."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        page.add_init_script(WATCH)
        page.goto(address)
        first = page.evaluate(PAINTED)
        yield "map: first paint after its data", f"{first:.0f} ms", "1 s"
        for what, turns in (("all points", 0), ("a part, larger", 8)):
            yield (
                f"map: dragged, {what}",
                f"{frames(page, turns):.0f} frames a second",
                "30 or more",
            )
        chromium.close()


def frames(page: "Page", turns: int) -> float:
    """Return the frames a second while the map is dragged, after turns of the wheel."""
    box = page.locator("#map-canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    for _ in range(turns):
        page.mouse.wheel(0, -240)
    page.mouse.down()
    page.evaluate(COUNT)
    began, moves = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        moves += 1
        page.mouse.move(x + 5 * (moves % 20), y + 4 * (moves % 14))
    counted = page.evaluate("frames_") / (time.perf_counter() - began)
    page.mouse.up()
    return float(counted)
