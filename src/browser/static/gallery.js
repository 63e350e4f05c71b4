// The gallery. In an export it does what src/browser/selection.py and gallery_view.py do by server:
// links and forms of the page lead to other addresses of it, whose images are found here.
"use strict"

const PREFIX = "f.", PER_PAGE = 100, SHOWN = 10, MAX_VALUES = 100, MAX_QUERY = 200, PER_CAPTIONS = 1000
const part = (name, within = document) => within.querySelector(`[data-part="${name}"]`)
const number = value => value.toLocaleString("en-US")

// state: what an address asks for, {query, filters: [[column, value], ...], sort, page}
const readState = (parameters, catalog) => {
  const last = new Map(parameters), page = last.get("page") ?? ""
  const query = (last.get("q") ?? "").replace(/\s+/g, " ").replace(/\p{Cc}/gu, "").trim()
  const given = [...last].filter(([name]) => name.startsWith(PREFIX)).map(([name, value]) => [name.slice(PREFIX.length), value])
  const isThere = ([column]) => catalog.columns.some(({name}) => name === column)
  return {
    query: [...query].slice(0, MAX_QUERY).join("").trim(),
    filters: given.filter(isThere),
    sort: Object.hasOwn(catalog.orders, last.get("sort") ?? "") ? last.get("sort") : "",
    page: /^[0-9]{1,8}$/.test(page) ? Math.max(Number(page), 1) : 1,
    missing: given.filter(pair => !isThere(pair)).map(([column]) => column),
  }
}
const fieldsOf = ({query, filters, sort}) => [
  ...(query ? [["q", query]] : []),
  ...filters.map(([column, value]) => [PREFIX + column, value]),
  ...(sort ? [["sort", sort]] : []),
]
const addressOf = state => {
  const fields = [...fieldsOf(state), ...(state.page > 1 ? [["page", state.page]] : [])]
  return `gallery.html${fields.length ? "?" : ""}${new URLSearchParams(fields)}`
}
const withFilter = (state, column, value) => {
  const others = state.filters.filter(([other]) => other !== column)
  return {...state, filters: value === null ? others : [...others, [column, value]], page: 1}
}

// The conditions of a state: [{column, text, images, without, alone}], column "" for a word of the search
const conditionsOf = (catalog, state, matches) => {
  const words = matches.map(({word}) => word), none = {query: "", filters: [], sort: state.sort, page: 1}
  return [
    ...matches.map(({word, images}, at) => ({
      column: "", text: word, images, alone: {...none, query: word},
      without: {...state, query: words.filter((_, other) => other !== at).join(" "), page: 1},
    })),
    ...state.filters.map(([column, text]) => {
      const {values, codes} = catalog.columns.find(({name}) => name === column), code = values.indexOf(text)
      const images = Uint8Array.from(codes, other => other === code)
      return {column, text, images, alone: {...none, filters: [[column, text]]}, without: withFilter(state, column, null)}
    }),
  ]
}
const allBut = (catalog, conditions, leftOut) => {
  const images = new Uint8Array(catalog.images).fill(1)
  for (const condition of conditions) if (condition !== leftOut) condition.images.forEach((has, image) => { images[image] &= has })
  return images
}
const sum = images => images.reduce((total, has) => total + has, 0)

// The images that meet all conditions in the order of a state, and the note of each
const sortedImages = async (catalog, conditions, sort) => {
  const all = allBut(catalog, conditions, null), images = [...all.keys()].filter(image => all[image])
  if (!sort) return [images, () => ""]
  const [ranksNumber, descends, note] = catalog.orders[sort], [ranks, notes] = await load("gallery-ranks", ranksNumber)
  const keys = Int32Array.from(ranks, rank => rank < 0 ? ranks.length : descends ? -rank : rank)
  images.sort((a, b) => keys[a] - keys[b] || a - b)
  return [images, image => notes.length && ranks[image] >= 0 ? note.replace("{}", notes[ranks[image]]) : ""]
}

// pieces of the page: copies of its templates, filled with text
const copy = (id, texts, address) => {
  const piece = byId(id).content.firstElementChild.cloneNode(true)
  for (const [name, text] of Object.entries(texts)) part(name, piece).textContent = text
  if (address) piece.querySelector("a").href = address
  return piece
}
const fillFields = (name, fields) => part(name).replaceChildren(...fields.map(([key, value]) => {
  const field = byId("field").content.firstElementChild.cloneNode()
  field.name = key
  field.value = value
  return field
}))
const copyCard = async (row, note) => {
  const [title, artist, date, alt] = (await load("captions", Math.floor(row / PER_CAPTIONS)))[row % PER_CAPTIONS]
  const piece = byId("card").content.firstElementChild.cloneNode(true), picture = piece.querySelector("img")
  piece.dataset.row = row
  piece.querySelector("a").href = `painting.html?row=${row}`
  picture.src = thumbnailAddress(row)
  picture.alt = alt
  piece.querySelector("b").textContent = title
  piece.querySelector("a > span").replaceChildren(...byline(artist, date))
  if (note) piece.querySelector(".note").textContent = note
  else piece.querySelector(".note").remove()
  return piece
}
const copyValue = (state, column, text, count, active) => {
  const piece = copy("value", {text: text || "unknown", count: number(count)}, addressOf(withFilter(state, column, text === active ? null : text)))
  if (text === active) piece.querySelector("a").setAttribute("aria-current", "true")
  return piece
}

const fillFacet = (catalog, state, conditions, {name, values, codes}) => {
  const own = conditions.find(({column}) => column === name), images = allBut(catalog, conditions, own)
  const counts = new Uint32Array(values.length)
  codes.forEach((code, image) => { counts[code] += images[image] })
  const codesThere = [...counts.keys()].filter(code => counts[code]).sort((a, b) => counts[b] - counts[a] || a - b)
  const chosen = codesThere.slice(0, MAX_VALUES), active = own ? values.indexOf(own.text) : -1
  if (active >= 0 && !chosen.includes(active)) chosen.push(active)
  const links = chosen.map(code => copyValue(state, name, values[code], counts[code], own?.text))
  const rest = codesThere.length - chosen.filter(code => counts[code]).length, section = all("[data-column]").find(other => other.dataset.column === name)
  section.hidden = !links.length
  part("top", section).replaceChildren(...links.slice(0, SHOWN))
  part("others", section).replaceChildren(...links.slice(SHOWN))
  part("more", section).hidden = links.length <= SHOWN
  part("number", section).textContent = number(Math.max(links.length - SHOWN, 0) + rest)
  part("rest", section).hidden = !rest
}
const fillConditions = (catalog, conditions, found) => {
  const texts = ({column, text}) => ({column: column || "search", text: text || "unknown"})
  part("chips").replaceChildren(...conditions.map(condition => copy("chip", texts(condition), addressOf(condition.without))))
  part("chips").hidden = !conditions.length
  const several = found || conditions.length < 2 ? [] : conditions
  let ways = several.map(condition => ({kind: "Without", condition, state: condition.without, count: sum(allBut(catalog, conditions, condition))}))
  if (!ways.some(({count}) => count)) ways = several.map(condition => ({kind: "Only", condition, state: condition.alone, count: sum(condition.images)}))
  part("ways").replaceChildren(...ways.filter(({count}) => count).map(({kind, condition, state, count}) => {
    return copy("way", {...texts(condition), kind, count: number(count)}, addressOf(state))
  }))
}
const fillMessages = (catalog, state, conditions, matches, found) => {
  const images = `${number(catalog.images)} image${catalog.images === 1 ? "" : "s"}`
  part("found").textContent = conditions.length ? `${found ? number(found) : "None"} of ${images}` : images
  part("corrections").replaceChildren(...matches.filter(({instead, images}) => instead.length || !images.includes(1)).map(({word, instead}) => {
    const piece = copy("correction", {word, instead: instead.join(" or ")})
    part("near", piece).hidden = !instead.length
    part("none", piece).hidden = instead.length > 0
    return piece
  }))
  part("missing").hidden = !state.missing.length
  part("columns").textContent = state.missing.join(", ")
  part("empty").hidden = found > 0
}
const fillPager = (state, count) => {
  const pages = {first: 1, previous: state.page - 1, next: state.page + 1, last: count}
  for (const [name, page] of Object.entries(pages)) {
    part(name).hidden = page < 1 || page > count || page === state.page
    part(name).href = addressOf({...state, page})
  }
  const field = byId("turn").elements.page
  field.max = count
  field.value = state.page
  part("pages").textContent = number(count)
  part("pager").hidden = count === 1
  fillFields("fields", fieldsOf(state))
}

// Shows what an address asks for; of several that were asked for while data was loading, the last
let asked = 0, shown = location.search
const show = async search => {
  const turn = ++asked
  shown = search
  const catalog = await loadCatalog(), state = readState(new URLSearchParams(search), catalog)
  const matches = state.query ? await searchWords(catalog, state.query) : []
  const conditions = conditionsOf(catalog, state, matches)
  const [images, noteOf] = await sortedImages(catalog, conditions, state.sort), count = Math.max(Math.ceil(images.length / PER_PAGE), 1)
  state.page = Math.min(state.page, count)
  const onPage = images.slice((state.page - 1) * PER_PAGE, state.page * PER_PAGE)
  const cards = await Promise.all(onPage.map(image => copyCard(catalog.rows?.[image] ?? image, noteOf(image))))
  if (turn !== asked) return
  byId("search").value = state.query
  byId("sort").value = state.sort
  fillFields("filters", state.filters.map(([column, value]) => [PREFIX + column, value]))
  for (const column of catalog.columns) fillFacet(catalog, state, conditions, column)
  fillConditions(catalog, conditions, images.length)
  fillMessages(catalog, state, conditions, matches, images.length)
  part("cards").replaceChildren(...cards)
  fillPager(state, count)
}
const showOrSay = search => show(search).catch(error => { part("found").textContent = `The images cannot be searched: ${error.message}.` })
const go = search => {
  history.pushState(null, "", `gallery.html${search}`)
  keepAddress()
  scrollTo(0, 0)
  const focused = document.activeElement
  showOrSay(search).then(() => { if (!focused.isConnected) part("found").focus() })  // its link is gone
}
const isPlain = event => !(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)

whenReady(() => {
  // Keys that go through the menu do not send it: the button does
  byId("sort").addEventListener("change", () => { if (!byId("sort").matches(":focus-visible")) byId("filter").requestSubmit() })
  if (!IS_STATIC) return
  byId("main").addEventListener("click", event => {
    const link = event.target.closest("a[href^='gallery.html']")
    if (!link || !isPlain(event)) return
    event.preventDefault()
    go(link.search)
  })
  byId("main").addEventListener("submit", event => {
    event.preventDefault()
    const fields = [...new FormData(event.target)].filter(([name, value]) => value || name.startsWith(PREFIX))
    go(fields.length ? `?${new URLSearchParams(fields)}` : "")
  })
  addEventListener("popstate", () => { if (location.search !== shown) { keepAddress(); showOrSay(location.search) } })
  if (location.search) showOrSay(location.search)
})
