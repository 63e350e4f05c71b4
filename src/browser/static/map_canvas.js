// The map as a picture: points as one block of pixels, then thumbnails and shapes on top. Pixels are
// never read back: from a disk, a canvas with a thumbnail may not be.
"use strict"

const FEW = 60  // images in view that are shown as thumbnails
const SIDES = [150, 110, 80, 56, 40]  // pixels of a thumbnail in view
const KEPT = 400  // thumbnails in memory
const MARGIN = 32  // device pixels around the picture, so that dots at its edge need no clipping
const COLORS = 12  // values of a label with a color of their own
const MAX_SCALE = 8  // pixels between points that are one step apart
const FAINT = 0x38  // the opacity of what is not selected

const MAP = {
  points: null,  // as makePoints returns them
  codes: null,  // the label of each point by id
  bright: new Uint32Array(NO_VALUE + 1), faint: new Uint32Array(NO_VALUE + 1),  // the color of each code; 0 hides it
  unhidden: 0,  // points that the legend does not hide
  selected: null,  // by id: 1 for those in the selection; null: there is none
  corners: null,  // of the selection or of the shape that is being drawn
  hovered: -1,  // an id
  shown: 0,  // points in view
  few: [],  // places of points in view, if they are few
  placed: [],  // thumbnails in view
}
const VIEW = {x: STEPS / 2, y: STEPS / 2, zoom: 1, width: 1, height: 1, ratio: 1}
// Its pixels are made by the processor; a canvas that lies there, too, takes them a third faster
const CANVAS = byId("map-canvas"), CONTEXT = CANVAS?.getContext("2d", {willReadFrequently: true})
const IMAGE = {data: null, pixels: null}

const isShown = id => MAP.bright[MAP.codes[id]] !== 0
const scaleOf = () => VIEW.zoom * 0.94 * Math.min(VIEW.width / MAP.points.extent.width, VIEW.height / MAP.points.extent.height)
const toMap = (x, y) => [VIEW.x + (x - VIEW.width / 2) / scaleOf(), VIEW.y + (y - VIEW.height / 2) / scaleOf()]
const toScreen = (x, y) => [(x - VIEW.x) * scaleOf() + VIEW.width / 2, (y - VIEW.y) * scaleOf() + VIEW.height / 2]
const boxInView = () => {
  const [[left, top], [right, bottom]] = [toMap(0, 0), toMap(VIEW.width, VIEW.height)]
  return {left, top, right, bottom}
}

const keepInside = () => {
  const most = MAX_SCALE * VIEW.zoom / scaleOf()
  VIEW.zoom = Math.min(Math.max(VIEW.zoom, 0.5), Math.max(most, 1))
  VIEW.x = Math.min(Math.max(VIEW.x, 0), STEPS)
  VIEW.y = Math.min(Math.max(VIEW.y, 0), STEPS)
}

const pan = (dx, dy) => {
  VIEW.x -= dx / scaleOf()
  VIEW.y -= dy / scaleOf()
  keepInside()
}

// What lies under a place of the screen stays there
const zoomAt = (factor, x = VIEW.width / 2, y = VIEW.height / 2) => {
  const [mapX, mapY] = toMap(x, y)
  VIEW.zoom *= factor
  keepInside()
  VIEW.x = mapX - (x - VIEW.width / 2) / scaleOf()
  VIEW.y = mapY - (y - VIEW.height / 2) / scaleOf()
  keepInside()
}

// Colors of a style sheet as the pixels of an image
const readColors = () => {
  const style = getComputedStyle(CANVAS)
  const pixel = name => {
    const [red, green, blue] = style.getPropertyValue(name).trim().match(/\w\w/g).map(part => parseInt(part, 16))
    return (0xff << 24 | blue << 16 | green << 8 | red) >>> 0
  }
  MAP.colors = Array.from({length: COLORS}, (_, at) => pixel(`--map-${at}`))
  MAP.other = pixel("--map-other")
  MAP.ink = style.getPropertyValue("--ink")
  MAP.paper = style.getPropertyValue("--paper")
  MAP.accent = style.getPropertyValue("--accent")
}

const cssColor = pixel => `rgb(${pixel & 255} ${pixel >> 8 & 255} ${pixel >> 16 & 255})`

const resize = () => {
  const ratio = devicePixelRatio, {clientWidth, clientHeight} = CANVAS
  Object.assign(VIEW, {width: Math.max(clientWidth, 1), height: Math.max(clientHeight, 1), ratio})
  CANVAS.width = Math.round(VIEW.width * ratio)
  CANVAS.height = Math.round(VIEW.height * ratio)
  IMAGE.data = new ImageData(CANVAS.width + 2 * MARGIN, CANVAS.height + 2 * MARGIN)
  IMAGE.pixels = new Uint32Array(IMAGE.data.data.buffer)
}

// In pixels of the screen: many points are small, and grow as one comes nearer
const dotSize = () => {
  const far = Math.min(7, Math.max(2, 0.5 * Math.sqrt(VIEW.width * VIEW.height / Math.max(MAP.unhidden, 1))))
  return Math.min(9, Math.max(2, far * VIEW.zoom ** 0.35))
}

// Where the pixels of a disk lie from its middle, in an image of this width
const diskOffsets = (size, width) => {
  const offsets = [], radius = size / 2, middle = Math.floor(radius)
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) {
    if ((x + 0.5 - radius) ** 2 + (y + 0.5 - radius) ** 2 <= radius ** 2) offsets.push((y - middle) * width + x - middle)
  }
  return new Int32Array(offsets)
}

// Unselected points come first, selected ones over them
const paintPoints = () => {
  const {points, codes, selected} = MAP, {ids, x, y} = points, {pixels} = IMAGE, {width, height} = IMAGE.data
  const size = Math.min(2 * MARGIN, Math.max(1, Math.round(dotSize() * VIEW.ratio))), disk = diskOffsets(size, width)
  const scale = scaleOf() * VIEW.ratio, pad = MARGIN / scale, box = boxInView()
  const [dx, dy] = [MARGIN - box.left * scale, MARGIN - box.top * scale]
  const wide = {left: box.left - pad, top: box.top - pad, right: box.right + pad, bottom: box.bottom + pad}
  const edge = size / 2 + 1, ranges = rangesIn(points, wide)
  pixels.fill(0)
  MAP.shown = 0
  MAP.few = []
  for (const pass of selected ? [0, 1] : [1]) {
    const table = pass ? MAP.bright : MAP.faint
    for (const [from, to] of ranges) for (let at = from; at < to; at++) {
      const id = ids[at], color = table[codes[id]]
      if (color === 0 || selected && selected[id] !== pass) continue
      const px = x[at] * scale + dx | 0, py = y[at] * scale + dy | 0
      if (px < edge || py < edge || px >= width - edge || py >= height - edge) continue
      if (px >= MARGIN && py >= MARGIN && px < width - MARGIN && py < height - MARGIN && MAP.shown++ < FEW) MAP.few.push(at)
      const middle = py * width + px
      for (let pixel = 0; pixel < disk.length; pixel++) pixels[middle + disk[pixel]] = color
    }
  }
  CONTEXT.setTransform(1, 0, 0, 1, 0, 0)
  CONTEXT.putImageData(IMAGE.data, -MARGIN, -MARGIN)
}

// Thumbnails by row; those that were not shown for long are dropped
const THUMBNAILS = new Map()
const thumbnail = row => {
  const image = THUMBNAILS.get(row) ?? new Image()
  THUMBNAILS.delete(row)
  THUMBNAILS.set(row, image)
  if (!image.src) {
    image.onload = requestDraw
    image.src = thumbnailAddress(row)
  }
  if (THUMBNAILS.size > KEPT) THUMBNAILS.delete(THUMBNAILS.keys().next().value)
  return image
}

// Boxes of thumbnails of this size, from the middle outward; one that would cover another is left out
const placedBoxes = side => {
  const {points} = MAP, boxes = []
  const places = MAP.few.map(at => [points.ids[at], ...toScreen(points.x[at], points.y[at])])
  const distance = ([, x, y]) => (x - VIEW.width / 2) ** 2 + (y - VIEW.height / 2) ** 2
  for (const [id, x, y] of places.sort((a, b) => distance(a) - distance(b) || a[0] - b[0])) {
    const image = thumbnail(points.row(id))
    if (!image.complete || !image.naturalWidth) continue
    const fit = side / Math.max(image.naturalWidth, image.naturalHeight)
    const [width, height] = [image.naturalWidth * fit / 2, image.naturalHeight * fit / 2]
    const box = {id, image, left: x - width, top: y - height, right: x + width, bottom: y + height}
    const covers = other => box.left < other.right + 4 && box.right > other.left - 4 && box.top < other.bottom + 4 && box.bottom > other.top - 4
    if (!boxes.some(covers)) boxes.push(box)
  }
  return boxes
}

// The largest at which half of the images have a place, or as many as can; the others stay dots
const paintThumbnails = () => {
  MAP.placed = []
  if (MAP.shown > FEW || !PAGE.thumbnails) return
  const places = boxes => Math.min(boxes.length, MAP.shown / 2)
  MAP.placed = SIDES.map(placedBoxes).reduce((best, boxes) => places(boxes) > places(best) ? boxes : best)
  for (const {id, image, left, top, right, bottom} of MAP.placed) {
    CONTEXT.globalAlpha = MAP.selected && !MAP.selected[id] ? 0.35 : 1
    CONTEXT.fillStyle = cssColor(MAP.bright[MAP.codes[id]])
    CONTEXT.fillRect(left - 2, top - 2, right - left + 4, bottom - top + 4)
    CONTEXT.drawImage(image, left, top, right - left, bottom - top)
  }
  CONTEXT.globalAlpha = 1
}

const paintShape = () => {
  CONTEXT.beginPath()
  for (let at = 0; at < MAP.corners.length; at += 2) CONTEXT.lineTo(...toScreen(MAP.corners[at], MAP.corners[at + 1]))
  CONTEXT.closePath()
  CONTEXT.lineWidth = 1.5
  CONTEXT.strokeStyle = MAP.ink
  CONTEXT.setLineDash([6, 4])
  CONTEXT.stroke()
  CONTEXT.setLineDash([])
}

// Where a point is in the order of the index
const placeOf = id => {
  if (!MAP.places) {
    MAP.places = new Uint32Array(MAP.points.n)
    MAP.points.ids.forEach((other, at) => { MAP.places[other] = at })
  }
  return MAP.places[id]
}

const screenPlace = id => toScreen(MAP.points.x[placeOf(id)], MAP.points.y[placeOf(id)])

const paintHovered = () => {
  const box = MAP.placed.find(({id}) => id === MAP.hovered), [x, y] = screenPlace(MAP.hovered)
  CONTEXT.beginPath()
  if (box) CONTEXT.rect(box.left - 3, box.top - 3, box.right - box.left + 6, box.bottom - box.top + 6)
  else CONTEXT.arc(x, y, dotSize() / 2 + 4, 0, 7)
  for (const [width, color] of [[5, MAP.paper], [2.5, MAP.ink]]) {
    CONTEXT.lineWidth = width
    CONTEXT.strokeStyle = color
    CONTEXT.stroke()
  }
}

let nextFrame = 0  // what cancels the next drawing, 0: none is asked for
const draw = () => {
  cancelAnimationFrame(nextFrame)
  nextFrame = 0
  paintPoints()
  CONTEXT.setTransform(VIEW.ratio, 0, 0, VIEW.ratio, 0, 0)
  paintThumbnails()
  if (MAP.corners) paintShape()
  if (MAP.hovered >= 0) paintHovered()
}

const requestDraw = () => {
  if (MAP.points) nextFrame ||= requestAnimationFrame(draw)
}

// The id of what is shown at a place of the screen, -1 if nothing is
const hit = (x, y) => {
  const box = MAP.placed.find(({left, top, right, bottom}) => x >= left && x <= right && y >= top && y <= bottom)
  return box ? box.id : nearestPoint(MAP.points, ...toMap(x, y), Math.max(12, dotSize()) / scaleOf(), isShown)
}
