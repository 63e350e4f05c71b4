// Runs side by side: which columns are shown, lines between equal neighbors, and their highlighting.
"use strict"

const MOST = 4  // columns
const SVG = "http://www.w3.org/2000/svg"
const columns = () => all("#columns > section").filter(column => !column.hidden)

// In an export the page has the columns of all runs, and the address says which are shown
const chooseRuns = () => {
  const runs = all("#columns > section").map(column => column.dataset.run), own = PAGE.run
  const asked = (PARAMETERS.get("runs") ?? "").split(",")
  const others = runs.filter(run => run !== own)
  const named = PARAMETERS.get("runs") ? others.filter(run => asked.includes(run)) : others
  const shown = new Set([own, ...named.slice(0, MOST - 1)])
  all("#columns > section").forEach(column => { column.hidden = !shown.has(column.dataset.run) })
  all(".overlaps li").forEach(pair => { pair.hidden = !pair.dataset.runs.split(",").every(run => shown.has(run)) })
  all("#columns .also").forEach(mark => { mark.hidden = !shown.has(mark.dataset.run) })
  all("#columns .joins").forEach(card => card.classList.toggle("joins", all(".also", card).some(mark => !mark.hidden)))
  if (byId("marks")) byId("marks").hidden = shown.size < 2
  all(".chips li").forEach(choice => {
    const run = choice.dataset.run, changed = new Set(shown)
    if (!changed.delete(run)) changed.add(run)
    const address = new URLSearchParams(location.search)
    address.set("runs", runs.filter(other => changed.has(other)).join(","))
    const link = document.createElement(run !== own && changed.size <= MOST ? "a" : "span")
    if (link.localName === "a") link.href = `compare.html?${address}`
    if (shown.has(run)) link.setAttribute("aria-current", "true")
    link.textContent = choice.textContent
    choice.replaceChildren(link)
  })
}

// Neighbors lead to their own comparison, with the runs of this one
const keepRuns = () => {
  const runs = PARAMETERS.get("runs")
  if (runs) all("a[data-keep-runs]").forEach(link => { link.href += `&runs=${encodeURIComponent(runs)}` })
}

// A line from each neighbor to the same one in the next column
const drawLines = (area, picture) => {
  const origin = area.getBoundingClientRect(), shown = columns()
  picture.setAttribute("width", area.scrollWidth)
  picture.setAttribute("height", area.scrollHeight)
  picture.replaceChildren()
  shown.slice(1).forEach((column, at) => {
    const cards = new Map(all("li", column).map(card => [card.dataset.row, card.getBoundingClientRect()]))
    all("li", shown[at]).forEach(card => {
      const from = card.getBoundingClientRect(), to = cards.get(card.dataset.row)
      if (!to || to.left <= from.right) return
      const [x, y] = [from.right - origin.left, from.top + from.height / 2 - origin.top]
      const [right, end] = [to.left - origin.left, to.top + to.height / 2 - origin.top]
      const middle = (x + right) / 2, line = document.createElementNS(SVG, "path")
      line.setAttribute("d", `M${x} ${y}C${middle} ${y} ${middle} ${end} ${right} ${end}`)
      line.dataset.row = card.dataset.row
      picture.append(line)
    })
  })
}

const highlight = (area, row) => all("[data-row]", area).forEach(part => part.classList.toggle("same", part.dataset.row === row))

whenReady(() => {
  const area = byId("columns")
  if (!area) return
  if (IS_STATIC) chooseRuns()
  keepRuns()
  const picture = document.createElementNS(SVG, "svg")
  picture.setAttribute("aria-hidden", "true")
  area.prepend(picture)
  new ResizeObserver(() => drawLines(area, picture)).observe(area)
  for (const name of ["pointerover", "focusin"]) area.addEventListener(name, event => highlight(area, event.target.closest("li")?.dataset.row))
  for (const name of ["pointerleave", "focusout"]) area.addEventListener(name, () => highlight(area, null))
})
