// Near-duplicates: groups by a threshold that moves, as src/browser/duplicates_view.py makes them.
"use strict"

const UNIT = 10_000, PER_CAPTIONS = 1000, OBJECT = 1
const KINDS = ["", "other views of one object", "same file"]

// Pairs as [first, second, score, kind], best first; images are places in the list of rows
const unpack = flat => Array.from({length: flat.length / 4}, (_, at) => flat.slice(4 * at, 4 * at + 4))

// The groups that pairs join, as {images, pairs}: the largest first, of equal ones that with the best pair
const groupsOf = (pairs, rows) => {
  const parent = new Map()
  const root = image => {
    while ((parent.get(image) ?? image) !== image) image = parent.get(image)
    return image
  }
  for (const [first, second] of pairs) {
    const [top, other] = [root(first), root(second)]
    if (top !== other) parent.set(top, other)
    for (const image of [first, second]) if (image !== other) parent.set(image, other)
  }
  const groups = new Map()
  for (const pair of pairs) {
    const top = root(pair[0])
    if (!groups.has(top)) groups.set(top, {images: new Set(), pairs: []})
    const group = groups.get(top)
    group.images.add(pair[0]).add(pair[1])
    group.pairs.push(pair)
  }
  const sorted = [...groups.values()].sort((a, b) => b.images.size - a.images.size)  // stable: the best pair was first
  return sorted.map(({images, pairs}) => ({images: [...images].sort((a, b) => rows[a] - rows[b]), pairs}))
}

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}

const cardOf = (row, place, [title, artist, date, alt, file]) => {
  const picture = element("img", {loading: "lazy", width: 160, height: 160, alt, src: thumbnailAddress(row)})
  const about = element("span", {}, ...byline(artist, date))
  const link = element("a", {href: `painting.html?row=${row}`}, picture, element("b", {textContent: title}), about)
  const card = element("li", {className: "card"}, link, element("span", {className: "note", textContent: `${place} · ${file}`}))
  card.dataset.row = row
  return card
}

const groupOf = async ({images, pairs}, rows, form) => {
  const [, mostImages, mostPairs] = form.dataset.limits.split(",").map(Number)
  const captions = await Promise.all(images.slice(0, mostImages).map(async image => (await load("pair-captions", Math.floor(image / PER_CAPTIONS)))[image % PER_CAPTIONS]))
  const cards = captions.map((caption, at) => cardOf(rows[images[at]], at + 1, caption))
  const places = new Map(images.map((image, at) => [image, at + 1])), text = element("p", {className: "faint"})
  pairs.slice(0, mostPairs).forEach(([first, second, score, kind], at) => {
    const [low, high] = [places.get(first), places.get(second)].sort((a, b) => a - b)
    text.append(`${at ? ", " : ""}${low}–${high}: ${(score / UNIT).toFixed(4)}`)
    if (kind) text.append(" ", element("b", {textContent: KINDS[kind]}))
  })
  if (pairs.length > mostPairs) text.append(`, and ${pairs.length - mostPairs} more pairs`)
  if (images.length > mostImages) text.append(`; ${images.length - mostImages} more images are in the CSV`)
  const heading = element("h2", {textContent: `${images.length} images`})
  return element("section", {className: "group"}, heading, element("ol", {className: "grid"}, ...cards), text)
}

const stateOf = (form, {pairs}) => {
  const from = Math.round(UNIT * form.elements.from.value), hides = form.elements.objects?.checked ?? false
  return {hides, kept: pairs.filter(([, , score, kind]) => score >= from && !(hides && kind === OBJECT))}
}

let drawn = 0  // groupings so far: a slow one must not overwrite a later one
const draw = async (form, data) => {
  const number = ++drawn, {hides, kept} = stateOf(form, data), groups = groupsOf(kept, data.rows)
  const most = Number(form.dataset.limits.split(",")[0]), shown = groups.slice(0, most)
  const sections = await Promise.all(shown.map(group => groupOf(group, data.rows, form)))
  if (number !== drawn) return
  byId("groups").replaceChildren(...sections)
  const images = groups.reduce((sum, group) => sum + group.images.length, 0)
  const rest = groups.length > shown.length ? `; the ${shown.length} largest are shown` : ""
  byId("found").textContent = `${kept.length} pairs join ${images} images in ${groups.length} groups${rest}.`
  byId("none").hidden = groups.length > 0
  const address = new URLSearchParams({from: form.elements.from.value, ...(hides ? {objects: "hide"} : {})})
  history.replaceState(null, "", `?${address}`)
}

const save = async (form, {rows, pairs}) => {
  const groups = groupsOf(stateOf(form, {pairs}).kept, rows), files = async image =>
    (await load("pair-captions", Math.floor(image / PER_CAPTIONS)))[image % PER_CAPTIONS][4]
  const lines = await Promise.all(groups.flatMap((group, at) => group.pairs.map(async ([first, second, score, kind]) =>
    [at + 1, (score / UNIT).toFixed(4), await files(first), await files(second), KINDS[kind]])))
  download("near-duplicates.csv", csvText([["group", "score", "file", "other", "in common"], ...lines]))
}

whenReady(async () => {
  const form = byId("threshold"), range = form.elements.from, digits = range.step.length - 2
  const {rows, pairs} = await load("pairs", 0), data = {rows, pairs: unpack(pairs)}
  if (IS_STATIC) {
    const asked = Number(PARAMETERS.get("from"))
    if (asked) range.value = asked
    if (form.elements.objects) form.elements.objects.checked = PARAMETERS.get("objects") === "hide"
  }
  const show = () => { form.querySelector("output").textContent = Number(range.value).toFixed(digits) }
  let asked = 0  // one grouping a frame, however often the range moves in it
  form.addEventListener("input", () => {
    show()
    cancelAnimationFrame(asked)
    asked = requestAnimationFrame(() => draw(form, data))
  })
  form.addEventListener("submit", event => { event.preventDefault(); draw(form, data) })
  form.querySelector("button:not([id])").hidden = true
  const button = byId("save")
  button.hidden = false
  button.addEventListener("click", () => save(form, data))
  if (IS_STATIC && location.search) { show(); draw(form, data) }
})
