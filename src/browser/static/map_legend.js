// The colors of the map and their legend, which filters.
"use strict"

const LEGEND = 100  // values of a label that are seen at once

const countOf = code => code === NO_VALUE ? STATE.missing : STATE.counts[code]

const paintTables = () => {
  MAP.unhidden = 0
  for (const code of allCodes()) {
    if (!STATE.hidden.has(code)) MAP.unhidden += countOf(code)
    const color = STATE.hidden.has(code) ? 0 : MAP.colors[code] ?? MAP.other
    MAP.bright[code] = color
    MAP.faint[code] = color && (color & 0xffffff | FAINT << 24) >>> 0
  }
}

const filtered = () => {
  paintTables()
  showLegend()
  select(MAP.shape)
  moved()
}

const legendItem = code => {
  const item = byId("value").content.firstElementChild.cloneNode(true), [box, only] = all("input, button", item)
  const name = code === NO_VALUE ? "no value" : STATE.values[code]
  item.querySelector("i").style.background = cssColor(MAP.colors[code] ?? MAP.other)
  item.querySelector("[data-part=name]").textContent = name
  item.querySelector("[data-part=count]").textContent = countOf(code).toLocaleString("en")
  box.checked = !STATE.hidden.has(code)
  box.addEventListener("change", () => {
    if (box.checked) STATE.hidden.delete(code)
    else STATE.hidden.add(code)
    filtered()
    focusValue(code, "input")
  })
  only.setAttribute("aria-label", `Only ${name}`)
  const isolate = () => {
    STATE.hidden = new Set(allCodes().filter(other => other !== code))
    filtered()
    focusValue(code, "button")
  }
  only.addEventListener("click", isolate)
  item.querySelector("label").addEventListener("dblclick", isolate)
  item.dataset.code = code
  return item
}

const focusValue = (code, what) => byId("values").querySelector(`[data-code="${code}"] ${what}`)?.focus()

const showLegend = () => {
  const words = byId("find-value").value.toLowerCase()
  const found = allCodes().filter(code => !words || (STATE.values[code] ?? "no value").toLowerCase().includes(words))
  byId("values").replaceChildren(...found.slice(0, LEGEND).map(legendItem))
  byId("more-values").textContent = found.length > LEGEND ? `${(found.length - LEGEND).toLocaleString("en")} more values: type a part of one to find it.` : ""
  byId("finder").hidden = STATE.values.length <= COLORS
  byId("all-values").hidden = !STATE.hidden.size
}

// By the label column of this number, -1: all in one color; what is hidden is in the address
const colorBy = async (number, parameters) => {
  const {n} = MAP.points
  const label = number < 0 ? {values: ["all images"], counts: [n]} : await load("map-labels", number)
  MAP.codes = number < 0 ? new Uint16Array(n) : unpack(label.codes, Uint16Array)
  Object.assign(STATE, {values: label.values, counts: label.counts, missing: n - label.counts.reduce((sum, count) => sum + count, 0)})
  const codes = allCodes(), only = parameters.get("only"), hide = parameters.get("hide")
  const listed = new Set(codesOf(only ?? hide ?? ""))
  STATE.hidden = new Set(codes.filter(code => listed.has(code) === (only === null)))
  byId("legend").hidden = number < 0
  byId("find-value").value = ""
}

const colorByMenu = async () => {
  const chosen = byId("color").selectedOptions[0], {number} = chosen.dataset
  if (number >= 0) await load("map-labels", number)
  if (byId("color").selectedOptions[0] !== chosen) return  // another was chosen before its labels came
  await colorBy(number, new URLSearchParams())
  filtered()
}

const codesText = codes => [...codes].map(code => code === NO_VALUE ? "none" : code).join(",")
const codesOf = text => text.split(",").map(word => word === "none" ? NO_VALUE : parseInt(word, 10))
const allCodes = () => [...STATE.values.keys(), ...STATE.missing ? [NO_VALUE] : []]

const listenToLegend = () => {
  byId("find-value").addEventListener("input", showLegend)
  byId("all-values").addEventListener("click", () => { STATE.hidden.clear(); filtered() })
  byId("color").addEventListener("change", () => colorByMenu().catch(error => {
    byId("more-values").textContent = `This label cannot be shown: ${error.message}.`
  }))
}
