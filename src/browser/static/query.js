// Query by any image: choose, drop or paste it, crop it, send it. The server renders the answer.
"use strict"

const SIDES = ["left", "top", "width", "height"], LEAST = 1  // percent of a side
const clamp = (value, low, high) => Math.min(Math.max(value, low), high)
const tidy = number => String(Math.round(number * 100) / 100)

// Where navigator.clipboard is missing, as on http from another machine, the command is selected
const copyCommand = async event => {
  const button = event.currentTarget, code = button.parentElement.querySelector("code")
  try {
    await navigator.clipboard.writeText(code.textContent)
    button.textContent = "Copied"
  } catch {
    getSelection().selectAllChildren(code)
    button.textContent = "Selected: press Ctrl+C"
  }
}

// The rectangle on the picture and its twin in numbers; changed() gets [left, top, width, height]
const makeCropper = changed => {
  const figure = byId("cropper"), box = byId("box"), inputs = SIDES.map(side => byId(`crop-${side}`))
  let crop = [0, 0, 100, 100], drag = null
  const show = () => {
    SIDES.forEach((side, i) => { box.style[side] = `${crop[i]}%` })
    box.classList.toggle("all", isWhole())
    inputs.forEach((input, i) => { if (input !== document.activeElement) input.value = tidy(crop[i]) })
    changed(crop)
  }
  const isWhole = () => crop[2] > 99.99 && crop[3] > 99.99
  const set = ([left, top, width, height]) => {
    const across = clamp(width, LEAST, 100), down = clamp(height, LEAST, 100)
    crop = [clamp(left, 0, 100 - across), clamp(top, 0, 100 - down), across, down]
    show()
  }
  const place = event => {
    const area = figure.getBoundingClientRect()
    return [clamp(100 * (event.clientX - area.left) / area.width, 0, 100), clamp(100 * (event.clientY - area.top) / area.height, 0, 100)]
  }
  const between = (a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])]
  const opposite = corner => [crop[0] + (corner.includes("w") ? crop[2] : 0), crop[1] + (corner.includes("n") ? crop[3] : 0)]
  const start = event => {
    if (event.button || box.hidden) return
    event.preventDefault()
    figure.setPointerCapture(event.pointerId)
    const at = place(event), { corner } = event.target.dataset
    if (corner) drag = { from: opposite(corner) }
    else if (event.target === box && !isWhole()) drag = { by: [crop[0] - at[0], crop[1] - at[1]] }
    else drag = { from: at }  // a new rectangle
    box.focus({ preventScroll: true })
  }
  const move = event => {
    if (!drag) return
    const at = place(event)
    if (drag.by) set([at[0] + drag.by[0], at[1] + drag.by[1], crop[2], crop[3]])
    else if (Math.hypot(at[0] - drag.from[0], at[1] - drag.from[1]) > 1) set(between(drag.from, at))
  }
  const key = event => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    const [left, top, width, height] = crop
    set(event.shiftKey ? [left, top, width + step[0], height + step[1]] : [left + step[0], top + step[1], width, height])
  }
  figure.addEventListener("pointerdown", start)
  figure.addEventListener("pointermove", move)
  for (const name of ["pointerup", "pointercancel"]) figure.addEventListener(name, () => { drag = null })
  box.addEventListener("keydown", key)
  inputs.forEach(input => {
    input.addEventListener("input", () => {
      const numbers = inputs.map(each => each.valueAsNumber)
      if (!numbers.some(Number.isNaN)) set(numbers)
    })
    input.addEventListener("change", show)
  })
  byId("whole").addEventListener("click", () => set([0, 0, 100, 100]))
  return { set, show: shown => { figure.hidden = !shown; box.hidden = !shown; byId("numbers").hidden = false } }
}

const makeAsker = form => {
  const preview = byId("preview"), status = byId("status"), problem = byId("problem"), field = byId("crop"), find = byId("find")
  let chosen = null
  const say = text => { status.textContent = text }
  const fail = text => { problem.textContent = text; problem.hidden = false; say(""); find.disabled = false }
  const cropper = makeCropper(crop => { field.value = crop[2] > 99.99 && crop[3] > 99.99 ? "" : crop.map(tidy).join(",") })
  const shown = () => {
    byId("crop-text").hidden = true
    cropper.show(true)
    const given = field.value.split(",").map(Number)
    cropper.set(given.length === 4 && !given.some(Number.isNaN) ? given : [0, 0, 100, 100])
  }
  const choose = file => {
    if (!file) return
    problem.hidden = true
    if (!file.size) return fail(`${file.name || "The image"} is empty.`)
    if (file.size > Number(form.dataset.maxBytes)) {
      return fail(`${file.name || "The image"} has ${(file.size / 1e6).toFixed(1)} MB, more than ${form.dataset.limit}: make it smaller, or ask with python -m src.query.`)
    }
    chosen = file
    field.value = ""
    URL.revokeObjectURL(preview.src)
    preview.src = URL.createObjectURL(file)
    find.hidden = false
    say(`${file.name || "An image"} is chosen: crop it if you like, then find its neighbors.`)
    find.focus({ preventScroll: true })
  }
  const send = async () => {
    find.disabled = true
    problem.hidden = true
    say("Sending the image and looking for its neighbors; the first time the network is loaded.")
    try {
      const address = `query${field.value ? `?crop=${encodeURIComponent(field.value)}` : ""}`
      const answer = await fetch(address, { method: "POST", body: chosen, headers: { "Content-Type": chosen.type || "application/octet-stream" } })
      const { location: found, error } = await answer.json()
      if (!found) return fail(`${error.charAt(0).toUpperCase()}${error.slice(1)}.`)
      const address2 = new URL(found, location.href)
      for (const name of ["k", "only"]) if (form.elements[name].value) address2.searchParams.set(name, form.elements[name].value)
      location.assign(address2)
    } catch {
      fail("The server does not answer: is it still running? Start it again, then send the image again.")
    }
  }
  preview.addEventListener("load", shown)
  // A browser that cannot show a TIFF, say, still can send it; numbers crop it
  preview.addEventListener("error", () => { if (chosen) { shown(); byId("cropper").hidden = true; say(`This browser cannot show ${chosen.name}, but it can be sent.`) } })
  form.addEventListener("submit", event => {
    if (chosen) { event.preventDefault(); send() } else say("Looking for neighbors.")
  })
  byId("file").addEventListener("change", event => choose(event.target.files[0]))
  addEventListener("paste", event => {
    const file = event.clipboardData?.files[0]
    if (file) { event.preventDefault(); choose(file) }
  })
  const drop = byId("drop"), isFile = event => event.dataTransfer?.types.includes("Files")
  addEventListener("dragover", event => { if (isFile(event)) { event.preventDefault(); drop.classList.add("over") } })
  addEventListener("dragleave", event => { if (!event.relatedTarget) drop.classList.remove("over") })
  addEventListener("drop", event => {
    if (!isFile(event)) return
    event.preventDefault()
    drop.classList.remove("over")
    choose(event.dataTransfer.files[0])
  })
  addEventListener("pageshow", () => { find.disabled = false; say("") })
  if (preview.complete && preview.naturalWidth) shown()
}

whenReady(() => {
  for (const button of all("[data-copy]")) { button.hidden = false; button.addEventListener("click", copyCommand) }
  const form = byId("ask")
  if (form) makeAsker(form)
})
