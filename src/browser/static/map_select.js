// The selection of a map: images in a box or a lasso, as cards and as a CSV file.
"use strict"

const CARDS = 100  // images of a selection that are shown
const MAX_CORNERS = 150  // of a lasso, so that it fits into an address

// Whole numbers, and no more corners than an address holds
const simplified = corners => {
  const pairs = []
  for (let at = 0; at < corners.length; at += 2) pairs.push([Math.round(corners[at]), Math.round(corners[at + 1])])
  const every = Math.ceil(pairs.length / MAX_CORNERS)
  return pairs.filter((_, at) => at % every === 0).flat()
}

// A shape as the address has it: box=x0,y0,x1,y1 or lasso=x0,y0,x1,y1,x2,y2,...
const shapeOf = parameters => {
  for (const kind of ["box", "lasso"]) {
    const corners = (parameters.get(kind) ?? "").split(",").map(Number)
    const isShape = corners.length % 2 === 0 && corners.length <= 2 * MAX_CORNERS && corners.every(Number.isFinite)
    if (isShape && corners.length === 4 && kind === "box") return {kind, corners}
    if (isShape && corners.length >= 6 && kind === "lasso") return {kind, corners}
  }
  return null
}

const captionOf = async row => (await load("captions", Math.floor(row / 1000)))[row % 1000]

// Fills in a card or a link once its caption is there
const fillCard = async (card, row) => {
  const [title, artist, date, alt] = await captionOf(row)
  card.querySelector("img").alt = alt
  card.querySelector("b").textContent = title
  card.querySelector("a > span").replaceChildren(...byline(artist, date))
}

const cardOf = row => {
  const card = byId("card").content.firstElementChild.cloneNode(true)
  card.dataset.row = row
  card.querySelector("a").href = `painting.html?row=${row}`
  Object.assign(card.querySelector("img"), {src: thumbnailAddress(row), alt: ""})
  card.querySelector("b").textContent = `Image ${row}`
  card.querySelector("a > span").textContent = ""
  fillCard(card, row).catch(() => {})  // the card still leads to the image
  return card
}

let chosenRows = []
const select = shape => {
  MAP.shape = shape
  MAP.corners = shape && (shape.kind === "box" ? boxCorners(...shape.corners) : shape.corners)
  const ids = shape ? pointsInside(MAP.points, MAP.corners, isShown) : []
  MAP.selected = shape && Uint8Array.from({length: MAP.points.n}, () => 0)
  ids.forEach(id => { MAP.selected[id] = 1 })
  chosenRows = ids.map(MAP.points.row)
  byId("selection").hidden = !shape
  byId("selected").textContent = shape ? countText(chosenRows.length) : ""
  byId("csv").hidden = !chosenRows.length
  byId("cards").replaceChildren(...chosenRows.slice(0, CARDS).map(cardOf))
  requestDraw()
}

const countText = count => {
  const images = `${count.toLocaleString("en")} ${count === 1 ? "image" : "images"} selected`
  return count > CARDS ? `${images}; the first ${CARDS} are shown, and the CSV file has all` : images
}

// Chunk by chunk, as a selection may be of all images
const csvOfSelection = async said => {
  const rows = chosenRows, lines = [["row", "file", "title", "artist", "date"]]
  for (const [at, row] of rows.entries()) {
    const [title, artist, date] = await captionOf(row)
    const file = (await load("files", Math.floor(row / 1000)))[row % 1000]
    lines.push([row, file, title, artist, date])
    if (at % 1000 === 999) said(`Reading ${(at + 1).toLocaleString("en")} of ${rows.length.toLocaleString("en")} ...`)
  }
  return csvText(lines)
}

const downloadSelection = async () => {
  const said = text => { byId("csv-said").textContent = text }
  try {
    download("selection.csv", await csvOfSelection(said))
    said("")
  } catch (error) {
    said(`The file cannot be made: ${error.message}.`)
  }
}
