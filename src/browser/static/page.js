// What all pages share: data chunks, bodies of pages in an export, keys, the random image.
"use strict"

// data: load(name, number) gives the value of the chunk data/<name>/<number>.js of this run
const CHUNKS = new Map(), WAITING = new Map()
const received = (name, number, value) => WAITING.get(`${name}/${number}`)(value)
const load = (name, number) => {
  const key = `${name}/${number}`
  if (!CHUNKS.has(key)) CHUNKS.set(key, new Promise((resolve, reject) => {
    WAITING.set(key, resolve)
    const script = document.createElement("script")
    script.src = `data/${name}/${String(number).padStart(3, "0")}.js`
    script.onerror = () => { CHUNKS.delete(key); reject(new Error(`${script.src} cannot be read`)) }
    document.head.append(script)
  }))
  return CHUNKS.get(key)
}

const PAGE = document.body.dataset, IMAGES = Number(PAGE.images), IS_STATIC = "static" in PAGE
// The small picture of a row; where only vectors are known, one stands for all
const thumbnailAddress = row => PAGE.thumbnails ? `${PAGE.thumbnails}/${String(Math.floor(row / 1000)).padStart(3, "0")}/${row}.jpg` : "../static/no_picture.svg"
const PARAMETERS = new URLSearchParams(location.search)
const all = (selector, within = document) => [...within.querySelectorAll(selector)]
const byId = id => document.getElementById(id)

// Calls made once the body of the page is there: at once, in an export after its chunk is loaded
let isReady = false
const CALLS = []
const whenReady = call => { if (isReady) call(); else CALLS.push(call) }
const ready = () => { isReady = true; CALLS.splice(0).forEach(call => call()) }

// Bodies are packed, as they repeat much: base64 of JSON that is deflated
const unpacked = async text => {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0))
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json()
}

// In an export of a sample only some rows have a page
const rowsOfSample = () => load("rows", 0)
const hasPage = async row => !("sample" in PAGE) || (await rowsOfSample()).includes(row)

// Exported bodies: main names the chunks, each with the bodies of `per` rows
const showBody = async main => {
  const per = Number(main.dataset.per), asked = PARAMETERS.get("row") ?? "", row = Number(asked)
  try {
    if (!/^\d+$/.test(asked) || row >= IMAGES) throw new Error(`row must be between 0 and ${IMAGES - 1}, got ${asked || "nothing"}`)
    if (!await hasPage(row)) throw new Error(`row ${row} has no page in this sample of ${PAGE.sample} of ${IMAGES} images`)
    const bodies = await unpacked(await load(main.dataset.bodies, Math.floor(row / per)))
    const body = document.createElement("div")
    body.innerHTML = bodies[row % per]  // our own templates made it, and escaped what others wrote
    main.append(body)
    const heading = main.querySelector("h1")
    if (heading) document.title = heading.textContent
  } catch (error) {
    const text = document.createElement("p"), link = document.createElement("a")
    link.href = "gallery.html"
    link.textContent = "To the gallery"
    text.append(`This page cannot be shown: ${error.message}. `, link)
    main.append(text)
  }
}

// Children that tell artist and date; a name from right to left does not turn them round
const byline = (artist, date) => {
  const name = document.createElement("bdi")
  name.textContent = artist
  return artist ? [name, date ? `, ${date}` : ""] : [date]
}

// Links to the same page of another run keep the parameters of the address
const keepAddress = () => all("a[data-keep-address]").forEach(link => { link.href = link.getAttribute("href").split("?")[0] + location.search })

const randomRow = async () => {
  const rows = "sample" in PAGE ? await rowsOfSample() : null
  const at = Math.floor(Math.random() * (rows ? rows.length : IMAGES))
  return rows ? rows[at] : at
}
const goRandom = async () => { location.href = `painting.html?row=${await randomRow()}` }

// Arrows go from card to card, by place: up and down to the nearest one above and below
const arrow = event => {
  const cards = all(".card a").filter(card => card.offsetParent), at = cards.indexOf(document.activeElement?.closest(".card")?.querySelector("a"))
  const box = at < 0 ? null : cards[at].getBoundingClientRect()
  let next = null
  if (event.key === "ArrowRight") next = cards[at + 1]
  else if (event.key === "ArrowLeft") next = cards[at - 1]
  else if (box) {
    const sign = event.key === "ArrowDown" ? 1 : -1
    const others = cards.map(card => [card, card.getBoundingClientRect()]).filter(([, other]) => sign * (other.top - box.top) > box.height / 2)
    next = others.sort(([, a], [, b]) => (sign * (a.top - b.top)) || Math.abs(a.left - box.left) - Math.abs(b.left - box.left))[0]?.[0]
  }
  if (!next) return
  next.focus()
  event.preventDefault()
}

const isTyping = target => target.closest("input, select, textarea, [contenteditable], dialog[open], [role=application]")
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
  if (event.key.startsWith("Arrow")) arrow(event)
  else if (event.key === "r") goRandom()
  else if (event.key === "?") byId("keys").showModal()
  else if (event.key === "/") {
    event.preventDefault()
    const search = byId("search")
    if (search) search.focus()
    else location.href = "gallery.html#search"
  }
})

byId("random").addEventListener("click", event => { event.preventDefault(); goRandom() })
byId("random").hidden = false
keepAddress()
// on a phone the bars of links scroll sideways: to the page and the run that are shown
all("header [aria-current]").forEach(link => { link.parentElement.scrollLeft = link.offsetLeft - innerWidth / 3 })
const exported = document.querySelector("main[data-bodies]")
if (exported) showBody(exported).then(ready)
else addEventListener("DOMContentLoaded", ready)
