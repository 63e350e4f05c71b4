// Points of a map: numbers as base64, an index of what lies where, shapes. Nothing here draws.
"use strict"

const STEPS = 65535  // of a coordinate
const LEAST = 256  // steps of an extent, so that equal points lie in the middle of the screen
const NO_VALUE = 65535  // the code of an image without a label

const unpack = (text, Type) => {
  const signs = atob(text), bytes = new Uint8Array(signs.length)
  for (let at = 0; at < signs.length; at++) bytes[at] = signs.charCodeAt(at)
  return new Type(bytes.buffer)  // little-endian, as all machines with a browser are
}

// Points sorted by the cells of a grid: those between two columns of one line of cells are neighbors in memory
const makePoints = ({positions, rows}) => {
  const pairs = unpack(positions, Uint16Array), n = pairs.length / 2
  const side = Math.min(256, Math.max(1, Math.ceil(Math.sqrt(n / 8)))), width = (STEPS + 1) / side
  const cells = new Uint32Array(n), starts = new Uint32Array(side * side + 1)
  for (let id = 0; id < n; id++) {
    pairs[2 * id + 1] = STEPS - pairs[2 * id + 1]  // upward, as in plots
    cells[id] = Math.floor(pairs[2 * id + 1] / width) * side + Math.floor(pairs[2 * id] / width)
    starts[cells[id] + 1]++
  }
  for (let cell = 0; cell < side * side; cell++) starts[cell + 1] += starts[cell]
  const next = starts.slice(), ids = new Uint32Array(n), x = new Uint16Array(n), y = new Uint16Array(n)
  for (let id = 0; id < n; id++) {
    const at = next[cells[id]]++
    ids[at] = id
    x[at] = pairs[2 * id]
    y[at] = pairs[2 * id + 1]
  }
  const numbers = rows && unpack(rows, Uint32Array)
  return {n, side, width, starts, ids, x, y, row: id => numbers ? numbers[id] : id, extent: extentOf(x, y)}
}

const extentOf = (x, y) => {
  let [left, right, top, bottom] = [STEPS, 0, STEPS, 0]
  for (let at = 0; at < x.length; at++) {
    left = Math.min(left, x[at])
    right = Math.max(right, x[at])
    top = Math.min(top, y[at])
    bottom = Math.max(bottom, y[at])
  }
  return {width: Math.max(right - left, LEAST), height: Math.max(bottom - top, LEAST)}
}

// Where the points of the cells that a box touches stand, as [from, to] for each line of cells
const rangesIn = ({side, width, starts}, {left, top, right, bottom}) => {
  const cell = value => Math.min(side - 1, Math.max(0, Math.floor(value / width)))
  const ranges = []
  if (right < 0 || left > STEPS || bottom < 0 || top > STEPS) return ranges
  for (let line = cell(top); line <= cell(bottom); line++) {
    ranges.push([starts[line * side + cell(left)], starts[line * side + cell(right) + 1]])
  }
  return ranges
}

// The id of the point nearest to a place, -1 if none that is shown lies within the radius
const nearestPoint = (points, x, y, radius, isShown) => {
  let best = -1, least = radius * radius
  const box = {left: x - radius, top: y - radius, right: x + radius, bottom: y + radius}
  for (const [from, to] of rangesIn(points, box)) {
    for (let at = from; at < to; at++) {
      const distance = (points.x[at] - x) ** 2 + (points.y[at] - y) ** 2
      if (distance <= least && isShown(points.ids[at])) { least = distance; best = points.ids[at] }
    }
  }
  return best
}

// Shapes are lists of corners: x0, y0, x1, y1, ...
const boxCorners = (x0, y0, x1, y1) => [x0, y0, x1, y0, x1, y1, x0, y1]

const boundsOf = corners => {
  const xs = corners.filter((_, at) => at % 2 === 0), ys = corners.filter((_, at) => at % 2)
  return {left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys)}
}

// By the number of sides that a ray to the right crosses
const isInside = (corners, x, y) => {
  let inside = false
  for (let at = 0, last = corners.length - 2; at < corners.length; last = at, at += 2) {
    const [x0, y0, x1, y1] = [corners[at], corners[at + 1], corners[last], corners[last + 1]]
    if ((y0 > y) !== (y1 > y) && x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)) inside = !inside
  }
  return inside
}

// The ids of the points in a shape that are shown, in order
const pointsInside = (points, corners, isShown) => {
  const found = []
  for (const [from, to] of rangesIn(points, boundsOf(corners))) {
    for (let at = from; at < to; at++) {
      const id = points.ids[at]
      if (isInside(corners, points.x[at], points.y[at]) && isShown(id)) found.push(id)
    }
  }
  return found.sort((a, b) => a - b)
}
