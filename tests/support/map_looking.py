"""The map in Chromium: asked where its images lie, and drawn on with the mouse."""

from playwright.sync_api import Page

CANVAS = "#map-canvas"


def place(page: Page, row: int) -> tuple[float, float]:
    """Return where an image lies in the window."""
    box = page.locator(CANVAS).bounding_box()
    assert box is not None
    x, y = page.evaluate("row => screenPlace(row)", row)
    return box["x"] + x, box["y"] + y


def apart(page: Page, row: int, other: tuple[float, float]) -> tuple[float, float]:
    """Return how far right and down of a place an image lies, in pixels."""
    x, y = place(page, row)
    return x - other[0], y - other[1]


def selected(page: Page) -> list[int]:
    """Return the images whose cards are shown."""
    return [
        int(card.get_attribute("data-row") or -1) for card in page.locator("#cards .card").all()
    ]


def until(page: Page, condition: str) -> None:
    """Wait until an expression of the page is true; wait_for_function needs eval."""
    page.evaluate(f"""() => new Promise(resolve => {{
      const look = () => {condition} ? resolve() : requestAnimationFrame(look)
      look()
    }})""")


def lone_row(page: Page) -> int:
    """Return the image that is farthest from all others."""
    return int(
        page.evaluate("""() => {
          const places = [...Array(MAP.points.n).keys()].map(screenPlace)
          const space = ([x, y], row) => Math.min(...places.map(([a, b], other) =>
            row === other ? Infinity : Math.hypot(x - a, y - b)))
          const spaces = places.map(space)
          return spaces.indexOf(Math.max(...spaces))
        }""")
    )


def drag(page: Page, *places: tuple[float, float]) -> None:
    """Press the button of the mouse at the first place, and let it go at the last."""
    page.mouse.move(*places[0])
    page.mouse.down()
    for at in places[1:]:
        page.mouse.move(*at, steps=4)
    page.mouse.up()


def corners(page: Page) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return two corners of the canvas, a little inside."""
    box = page.locator(CANVAS).bounding_box()
    assert box is not None
    right, bottom = box["x"] + box["width"] - 4, box["y"] + box["height"] - 4
    return (box["x"] + 4, box["y"] + 4), (right, bottom)
