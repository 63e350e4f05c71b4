// The page of the map: its layout, colors and legend, what is in view, and the address of all that.
"use strict"

const LISTED = 200  // images in view that are links
const MAX_LISTED = 4000  // letters of the hidden values in an address, which servers limit
const POLL = 3000  // milliseconds between questions whether a layout is there
// values of the label that colors, by code, and how many images have each, or none of them; hidden ones
const STATE = {layout: "pca", isWaiting: false, values: [], counts: [], missing: 0, hidden: new Set()}

// the address

const writeAddress = () => {
  const parameters = new URLSearchParams()
  if (STATE.layout !== "pca" || STATE.isWaiting) parameters.set("layout", STATE.isWaiting ? "umap" : STATE.layout)
  const [color] = byId("color").selectedOptions
  if (!color.defaultSelected) parameters.set("color", color.value)
  const shown = allCodes().filter(code => !STATE.hidden.has(code)), hides = STATE.hidden.size <= shown.length
  const listed = codesText(hides ? STATE.hidden : shown)
  if (STATE.hidden.size && listed.length <= MAX_LISTED) parameters.set(hides ? "hide" : "only", listed)
  const settings = parameters.toString()
  all("a[data-keep-address]").forEach(link => { link.search = settings })  // places differ in another run
  all("#layouts a").forEach(link => {
    parameters.set("layout", link.dataset.layout)
    link.search = parameters
    if (link.dataset.layout === STATE.layout) link.setAttribute("aria-current", "true")
  })
  const place = new URLSearchParams(settings)
  if (!STATE.isWaiting && (VIEW.zoom !== 1 || VIEW.x !== STEPS / 2 || VIEW.y !== STEPS / 2)) {
    place.set("x", Math.round(VIEW.x))
    place.set("y", Math.round(VIEW.y))
    place.set("zoom", VIEW.zoom.toPrecision(4))
  }
  if (!STATE.isWaiting && MAP.shape) place.set(MAP.shape.kind, MAP.shape.corners.join(","))
  const query = place.toString().replaceAll("%2C", ",")
  history.replaceState(null, "", query ? `?${query}` : location.pathname)
}

const readPlace = () => {
  const number = (name, other) => PARAMETERS.has(name) && Number.isFinite(Number(PARAMETERS.get(name))) ? Number(PARAMETERS.get(name)) : other
  Object.assign(VIEW, {x: number("x", STEPS / 2), y: number("y", STEPS / 2), zoom: number("zoom", 1)})
  keepInside()
}

// what moves

let timer = 0
const settleSoon = () => {
  clearTimeout(timer)
  timer = setTimeout(settled, 300)
}

const moved = () => {
  requestDraw()
  settleSoon()
}

// After a while without movement: the address, and what is in view for those who do not see it
const settled = () => {
  if (nextFrame) draw()  // it counts what is in view, and a busy computer may be late with it
  writeAddress()
  const total = MAP.points.n
  byId("in-view").textContent = `${MAP.shown.toLocaleString("en")} of ${total.toLocaleString("en")} images in view`
  if (byId("list").open) listInView()
}

const listInView = () => {
  const {points} = MAP, box = boxInView(), found = []
  for (const [from, to] of rangesIn(points, box)) for (let at = from; at < to; at++) {
    const [x, y] = [points.x[at], points.y[at]]
    const isInView = x >= box.left && x <= box.right && y >= box.top && y <= box.bottom
    if (isInView && isShown(points.ids[at])) found.push([(x - VIEW.x) ** 2 + (y - VIEW.y) ** 2, points.ids[at]])
  }
  found.sort((a, b) => a[0] - b[0] || a[1] - b[1])
  byId("links").replaceChildren(...found.slice(0, LISTED).map(([, id]) => linkTo(points.row(id))))
  byId("listed").textContent = found.length > LISTED ? `The ${LISTED} nearest to the middle of ${found.length.toLocaleString("en")}.` : ""
}

const linkTo = row => {
  const item = document.createElement("li"), link = document.createElement("a")
  link.href = `painting.html?row=${row}`
  link.textContent = `Image ${row}`
  captionOf(row).then(([title, artist]) => { link.textContent = [title, artist].filter(Boolean).join(", ") }, () => {})
  item.append(link)
  return item
}

// the image under the pointer, or by keys the one nearest to the middle
const hover = async (id, isSaid = false) => {
  if (MAP.hovered === id) return
  MAP.hovered = id
  CANVAS.classList.toggle("over", id >= 0)
  byId("hover").hidden = true
  requestDraw()
  if (id < 0) return
  const row = MAP.points.row(id), [title, artist] = await captionOf(row).catch(() => [`Image ${row}`, ""])
  if (MAP.hovered !== id) return  // the pointer was faster than the captions
  const image = byId("hover").querySelector("img")
  if (image.dataset.row !== String(row)) Object.assign(image, {src: thumbnailAddress(row), alt: ""})
  image.dataset.row = row
  byId("hover").querySelector("b").textContent = title
  byId("hover").querySelector("span").textContent = artist
  if (isSaid) byId("said").textContent = [title, artist].filter(Boolean).join(", ")
  byId("hover").hidden = false
  placeHover(...screenPlace(id))
}

const placeHover = (x, y) => {
  const {style, offsetWidth, offsetHeight} = byId("hover")
  const left = x + 16 + offsetWidth > VIEW.width ? x - 16 - offsetWidth : x + 16
  const top = Math.min(y + 16, VIEW.height - offsetHeight)
  style.transform = `translate(${Math.max(left, 0)}px, ${Math.max(top, 0)}px)`
}

// the start

const chooseColor = () => {
  const color = byId("color"), asked = [...color.options].findIndex(option => option.value === PARAMETERS.get("color"))
  color.selectedIndex = asked >= 0 ? asked : [...color.options].findIndex(option => option.defaultSelected)
  return Number(color.selectedOptions[0].dataset.number)
}

const restyle = () => {
  readColors()
  paintTables()
  showLegend()
}

// The server computes another layout: ask until it is there
const awaitLayout = () => setInterval(async () => {
  const answer = await fetch(location.href).catch(() => null)
  if (!answer?.ok) return  // it may be started again
  const page = new DOMParser().parseFromString(await answer.text(), "text/html")
  if (!page.querySelector("[data-waiting]")) location.reload()
  else byId("note").textContent = page.getElementById("note").textContent
}, POLL)

const startMap = async map => {
  const ready = map.dataset.ready.split(" "), asked = PARAMETERS.get("layout")
  STATE.layout = ready.includes(asked) ? asked : ready[0]
  STATE.isWaiting = "waiting" in map.dataset
  const points = await load(`map-${STATE.layout}`, 0)
  performance.mark("map-data")
  MAP.points = makePoints(points)
  await colorBy(chooseColor(), PARAMETERS)
  resize()
  readPlace()
  restyle()
  select(STATE.isWaiting ? null : shapeOf(PARAMETERS))
  draw()
  performance.mark("map-painted")
  settled()
  new ResizeObserver(() => { resize(); keepInside(); draw(); settleSoon() }).observe(CANVAS)
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { restyle(); draw() })
  listenToInput()
  listenToLegend()
  byId("list").addEventListener("toggle", settled)
  byId("csv").addEventListener("click", downloadSelection)
  byId("clear").addEventListener("click", () => { select(null); moved() })
  if (STATE.isWaiting) awaitLayout()
  map.dataset.drawn = ""
}

whenReady(() => {
  const map = byId("map")
  if (map) startMap(map).catch(error => { byId("in-view").textContent = `The map cannot be drawn: ${error.message}.` })
})
