// What a pointer, a wheel and keys do on the map.
"use strict"

const STILL = 5  // pixels that a click may move
const STEP = 80  // pixels that an arrow moves
const POINTERS = new Map()  // those that are down, by id, where they are
const DRAG = {kind: "", moved: 0, corners: []}  // kind: "", pan, box, lasso, pinch

const placeIn = event => {
  const {left, top} = CANVAS.getBoundingClientRect()
  return [event.clientX - left, event.clientY - top]
}

const openImage = (id, isNew) => {
  const address = `painting.html?row=${MAP.points.row(id)}`
  writeAddress()  // so that the way back leads here
  if (isNew) open(address)
  else location.href = address
}

const pointerDown = event => {
  if (event.button !== 0) return
  CANVAS.setPointerCapture(event.pointerId)
  POINTERS.set(event.pointerId, placeIn(event))
  const mode = document.querySelector("#modes [aria-pressed=true]").value
  const [x, y] = placeIn(event)
  DRAG.kind = POINTERS.size > 1 ? "pinch" : event.shiftKey && mode === "pan" ? "box" : mode
  if (POINTERS.size === 1) Object.assign(DRAG, {moved: 0, start: [x, y], corners: toMap(x, y)})
}

const pointerMove = event => {
  const before = POINTERS.get(event.pointerId), [x, y] = placeIn(event)
  if (!before) {
    if (event.pointerType !== "touch") hover(hit(x, y))
    return
  }
  const [dx, dy] = [x - before[0], y - before[1]]
  DRAG.moved = Math.max(DRAG.moved, Math.hypot(x - DRAG.start[0], y - DRAG.start[1]))
  if (DRAG.kind === "pinch") pinch(event.pointerId, [x, y])
  else if (DRAG.kind === "pan" && DRAG.moved > STILL) pan(dx, dy)
  else if (DRAG.kind === "box" && DRAG.moved > STILL) MAP.corners = boxCorners(...DRAG.corners, ...toMap(x, y))
  else if (DRAG.kind === "lasso" && Math.hypot(dx, dy) < 3) return  // no corner for each pixel
  else if (DRAG.kind === "lasso") MAP.corners = (DRAG.corners = [...DRAG.corners, ...toMap(x, y)])
  POINTERS.set(event.pointerId, [x, y])
  if (DRAG.moved > STILL) hover(-1)
  moved()
}

// Two fingers: the distance between them zooms, the middle of them pans
const pinch = (id, place) => {
  const other = [...POINTERS].find(([key]) => key !== id)?.[1], before = POINTERS.get(id)
  if (!other) return
  const apart = from => Math.max(Math.hypot(from[0] - other[0], from[1] - other[1]), 1)
  pan((place[0] - before[0]) / 2, (place[1] - before[1]) / 2)
  zoomAt(apart(place) / apart(before), (place[0] + other[0]) / 2, (place[1] + other[1]) / 2)
}

const pointerUp = event => {
  if (!POINTERS.delete(event.pointerId)) return
  const {kind, moved: distance, corners, start} = DRAG, place = placeIn(event)
  if (POINTERS.size) return
  DRAG.kind = ""
  if (event.type === "pointercancel") select(MAP.shape)
  else if (distance <= STILL && kind !== "pinch") {
    const id = hit(...place)
    if (id >= 0) openImage(id, event.ctrlKey || event.metaKey)
    else if (MAP.shape) select(null)
  } else if (kind === "box") select({kind, corners: simplified([...corners, ...toMap(...place)])})
  else if (kind === "lasso" && corners.length >= 6) select({kind, corners: simplified(corners)})
  moved()
}

const wheel = event => {
  event.preventDefault()
  const pixels = event.deltaY * (event.deltaMode ? 30 : 1)
  zoomAt(Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0015)), ...placeIn(event))
  moved()
}

const ARROWS = {ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP]}
const key = event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  if (event.key in ARROWS) pan(...ARROWS[event.key])
  else if (event.key === "+" || event.key === "=") zoomAt(1.5)
  else if (event.key === "-") zoomAt(1 / 1.5)
  else if (event.key === "0") showAll()
  else if (event.key === "Escape") { select(null); hover(-1); moved(); return }
  else if (event.key === "Enter" && MAP.hovered >= 0) { openImage(MAP.hovered, false); return }
  else return
  event.preventDefault()
  moved()
  hover(nearestPoint(MAP.points, VIEW.x, VIEW.y, VIEW.width / 2 / scaleOf(), isShown), true)
}

const showAll = () => Object.assign(VIEW, {x: STEPS / 2, y: STEPS / 2, zoom: 1})

const listenToInput = () => {
  CANVAS.addEventListener("pointerdown", pointerDown)
  CANVAS.addEventListener("pointermove", pointerMove)
  CANVAS.addEventListener("pointerup", pointerUp)
  CANVAS.addEventListener("pointercancel", pointerUp)
  CANVAS.addEventListener("pointerleave", () => { if (!POINTERS.size) hover(-1) })
  CANVAS.addEventListener("wheel", wheel, {passive: false})
  CANVAS.addEventListener("keydown", key)
  const zoomBy = (id, factor) => byId(id).addEventListener("click", () => { zoomAt(factor); moved() })
  zoomBy("zoom-in", 1.5)
  zoomBy("zoom-out", 1 / 1.5)
  byId("zoom-all").addEventListener("click", () => { showAll(); moved() })
  all("#modes button").forEach(button => button.addEventListener("click", () => {
    all("#modes button").forEach(other => other.setAttribute("aria-pressed", other === button))
    CANVAS.classList.toggle("drawing", button.value !== "pan")
  }))
}
