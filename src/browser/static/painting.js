// A painting: the steps that led here, and in an export the neighbors that the address asks for.
"use strict"

// The steps are kept for the tab, apart for each site; a browser may deny all storage
const MOST_STEPS = 12
const TRAIL = `trail ${new URL("..", location.origin === "null" ? location.href : location.origin + location.pathname).href}`
const readTrail = () => {
  try {
    const steps = JSON.parse(sessionStorage.getItem(TRAIL) ?? "[]")
    return Array.isArray(steps) ? steps : []
  } catch { return [] }
}
const writeTrail = steps => { try { sessionStorage.setItem(TRAIL, JSON.stringify(steps)) } catch { /* no trail then */ } }

const stepLink = (step, isHere) => {
  const item = document.createElement("li"), link = document.createElement("a"), picture = document.createElement("img")
  link.href = `../${Number(step.run)}/painting.html?row=${Number(step.row)}`
  if (isHere) link.setAttribute("aria-current", "page")
  Object.assign(picture, { src: step.thumbnail, alt: step.title, title: step.title, width: 48, height: 48 })
  link.append(picture)
  item.append(link)
  return item
}

const showTrail = (nav, steps) => {
  const list = document.createElement("ol"), clear = document.createElement("button")
  list.append(...steps.map((step, at) => stepLink(step, at === steps.length - 1)))
  clear.type = "button"
  clear.textContent = "Clear"
  clear.addEventListener("click", () => {
    writeTrail(steps.slice(-1))
    nav.hidden = true
    byId("main").focus()
  })
  nav.replaceChildren(list, clear)
  nav.hidden = steps.length < 2
}

const addStep = painting => {
  const { row, thumbnail } = painting.dataset, title = painting.querySelector("h1").textContent
  const steps = readTrail(), last = steps.at(-1)
  if (!last || last.row !== row || last.run !== PAGE.run) steps.push({ run: PAGE.run, row, title, thumbnail })
  writeTrail(steps.slice(-MOST_STEPS))
  showTrail(byId("trail"), steps.slice(-MOST_STEPS))
}

// A chip tells the value on hover, as the legend does in words
const nameChips = () => {
  const values = new Map(all(".legend li").map(item => [item.firstElementChild.textContent, item.lastChild.textContent.trim()]))
  all(".shared span").forEach(chip => { chip.title = values.get(chip.textContent) ?? "" })
}

// In an export cards tell their labels as places among the options of each select: the first is "any",
// the second the painting's own value, if it has one
const addChips = () => {
  const selects = all("#choose details select")
  const hasOwn = selects.map(select => select.dataset.own !== undefined)
  const chips = all(".legend li > span")
  all("#neighbors .card").forEach(card => {
    const places = card.dataset.labels.split(","), line = document.createElement("p")
    line.className = "shared"
    let at = 0  // in the legend, which has the labels of the painting alone
    places.forEach((place, column) => {
      if (hasOwn[column]) { if (place === "1") line.append(chips[at].cloneNode(true), " "); at += 1 }
    })
    if (line.hasChildNodes()) card.append(line)
  })
}

// In an export the page has the neighbors of all lists, those of the run's own without a mark
const fits = (card, only, selects) => {
  const places = card.dataset.labels.split(",").map(Number)
  const isIn = only ? (card.dataset.in ?? "").split(" ").includes(only) : !card.hasAttribute("data-more")
  return isIn && selects.every(({ select, value }, at) => !value || select.options[places[at]].value === value)
}

const describeShown = (shown, only, selects) => {
  const wanted = selects.filter(({ value }) => value).map(({ select, value }) => `${select.labels[0].firstChild.textContent.trim()} ${value}`)
  if (only) wanted.unshift(document.querySelector(`[data-only="${CSS.escape(only)}"]`).textContent)
  if (!wanted.length) return ""
  const some = shown ? `The ${shown} nearest in this export` : "None of the neighbors in this export fits"
  return `${some}: ${wanted.join(", ")}.${wanted.length > (only ? 1 : 0) ? " The program, where it runs, searches all images." : ""}`
}

const chooseShown = () => {
  const asked = PARAMETERS.get("only") ?? "", only = all("[data-only]").some(link => link.dataset.only === asked) ? asked : ""
  const selects = all("#choose details select").map(select => ({ select, value: PARAMETERS.get(select.name) ?? "" }))
  const cards = all("#neighbors .card"), lines = all("#why tbody tr"), most = Number(PARAMETERS.get("k")) || cards.length
  let shown = 0
  cards.forEach((card, at) => {
    card.hidden = shown >= most || !fits(card, only, selects)
    if (!card.hidden) shown += 1
    if (lines[at]) lines[at].hidden = card.hidden
  })
  const text = describeShown(shown, only, selects)
  if (text) byId("found").textContent = text
  byId("all").hidden = !text
  showChoice(only, selects)
}

// The form and the links show what is chosen
const showChoice = (only, selects) => {
  all("[data-only]").forEach(link => {
    const address = new URLSearchParams(location.search)
    address.delete("only")
    if (link.dataset.only) address.set("only", link.dataset.only)
    link.href = `painting.html?${address}`
    if (link.dataset.only === only) link.setAttribute("aria-current", "true")
    else link.removeAttribute("aria-current")
  })
  document.querySelector("#choose [name=only]").value = only
  const k = byId("k"), count = PARAMETERS.get("k")
  if ([...k.options].some(option => option.value === count)) k.value = count
  selects.filter(({ value }) => value).forEach(({ select, value }) => {
    if (![...select.options].some(option => option.value === value)) select.add(new Option(value))
    select.value = value
    select.closest("details").open = true
  })
}

whenReady(() => {
  const painting = document.querySelector(".painting")
  if (!painting) return
  if (IS_STATIC) { chooseShown(); addChips() }
  nameChips()
  addStep(painting)
  byId("choose").addEventListener("formdata", event => {  // an address without what was not chosen
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name)
  })
})
