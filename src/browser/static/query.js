// Query by any image: choose, drop or paste it, crop it, send it. The server renders the answer.
"use strict"

const SIDES = ["left", "top", "width", "height"], WHOLE = [0, 0, 100, 100], LEAST = 1  // percent of a side
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
const clamp = (value, low, high) => Math.min(Math.max(value, low), high)
const tidy = number => String(Math.round(number * 100) / 100)
const isWhole = crop => crop[2] > 99.99 && crop[3] > 99.99
const sentence = text => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

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

// The part of the picture: left, top, width and height in percent, as a rectangle and in numbers
class Cropper {
  constructor() {
    this.figure = byId("cropper")
    this.box = byId("box")
    this.field = byId("crop")  // what is sent, "" for the whole picture
    this.inputs = SIDES.map(side => byId(`crop-${side}`))
    this.crop = WHOLE
    this.inputs.forEach(input => {
      input.addEventListener("input", () => this.read())
      input.addEventListener("change", () => this.show())
    })
    byId("whole").addEventListener("click", () => this.set(WHOLE))
    this.box.addEventListener("keydown", event => this.key(event))
    dragOn(this)
  }
  open(isShown) {
    this.figure.hidden = this.box.hidden = !isShown
    byId("numbers").hidden = false
    byId("crop-text").hidden = true
    const given = this.field.value.split(",").map(Number)
    this.set(given.length === 4 && !given.some(Number.isNaN) ? given : WHOLE)
  }
  set([left, top, width, height]) {
    const across = clamp(width, LEAST, 100), down = clamp(height, LEAST, 100)
    this.crop = [clamp(left, 0, 100 - across), clamp(top, 0, 100 - down), across, down]
    this.show()
  }
  show() {
    SIDES.forEach((side, i) => { this.box.style[side] = `${this.crop[i]}%` })
    this.box.classList.toggle("all", isWhole(this.crop))
    // what is being typed stays as it is
    this.inputs.forEach((input, i) => { if (input !== document.activeElement) input.value = tidy(this.crop[i]) })
    this.field.value = isWhole(this.crop) ? "" : this.crop.map(tidy).join(",")
  }
  read() {
    const numbers = this.inputs.map(input => input.valueAsNumber)
    if (!numbers.some(Number.isNaN)) this.set(numbers)
  }
  key(event) {
    const step = STEPS[event.key], [left, top, width, height] = this.crop
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    this.set(event.shiftKey ? [left, top, width + step[0], height + step[1]] : [left + step[0], top + step[1], width, height])
  }
}

// Drag within the rectangle moves it, at a corner resizes it, elsewhere draws another one
const dragOn = cropper => {
  const { figure, box } = cropper
  let drag = null
  const place = event => {
    const area = figure.getBoundingClientRect()
    return [clamp(100 * (event.clientX - area.left) / area.width, 0, 100), clamp(100 * (event.clientY - area.top) / area.height, 0, 100)]
  }
  const start = event => {
    if (event.button || box.hidden) return
    event.preventDefault()
    figure.setPointerCapture(event.pointerId)
    const at = place(event), { corner } = event.target.dataset, [left, top, width, height] = cropper.crop
    if (corner) drag = { from: [left + (corner.includes("w") ? width : 0), top + (corner.includes("n") ? height : 0)] }
    else if (event.target === box && !isWhole(cropper.crop)) drag = { by: [left - at[0], top - at[1]] }
    else drag = { from: at }
    box.focus({ preventScroll: true })
  }
  const move = event => {
    if (!drag) return
    const at = place(event), { from, by } = drag
    if (by) cropper.set([at[0] + by[0], at[1] + by[1], cropper.crop[2], cropper.crop[3]])
    else if (Math.hypot(at[0] - from[0], at[1] - from[1]) > 1) {
      cropper.set([Math.min(at[0], from[0]), Math.min(at[1], from[1]), Math.abs(at[0] - from[0]), Math.abs(at[1] - from[1])])
    }
  }
  figure.addEventListener("pointerdown", start)
  figure.addEventListener("pointermove", move)
  for (const name of ["pointerup", "pointercancel"]) figure.addEventListener(name, () => { drag = null })
}

// The form: an image that is chosen is shown, and sent when its neighbors are asked for
class Asker {
  constructor(form) {
    this.form = form
    this.cropper = new Cropper()
    this.chosen = null
    this.find = byId("find")
    this.preview = byId("preview")
    this.preview.addEventListener("load", () => this.cropper.open(true))
    this.preview.addEventListener("error", () => this.openUnseen())
    form.addEventListener("submit", event => {
      if (this.chosen) { event.preventDefault(); this.send() } else this.say("Looking for neighbors.")
    })
    addEventListener("pageshow", () => { this.find.disabled = false; this.say("") })
    if (this.preview.complete && this.preview.naturalWidth) this.cropper.open(true)
  }
  say(text) { byId("status").textContent = text }
  fail(text) {
    byId("problem").textContent = text
    byId("problem").hidden = false
    this.say("")
    this.find.disabled = false
  }
  choose(file) {
    if (!file) return
    const name = file.name || "The image", limit = Number(this.form.dataset.maxBytes)
    byId("problem").hidden = true
    if (!file.size) return this.fail(`${name} is empty.`)
    if (file.size > limit) {
      return this.fail(`${name} has ${(file.size / 1e6).toFixed(1)} MB, more than ${this.form.dataset.limit}: make it smaller, or ask with python -m src.query.`)
    }
    this.chosen = file
    this.cropper.field.value = ""
    URL.revokeObjectURL(this.preview.src)
    this.preview.src = URL.createObjectURL(file)
    this.find.hidden = false
    this.say(`${name} is chosen: crop it if you like, then find its neighbors.`)
    this.find.focus({ preventScroll: true })
  }
  // A browser that cannot show a TIFF, say, can send it, and numbers crop it
  openUnseen() {
    if (!this.chosen) return
    this.cropper.open(false)
    this.say(`This browser cannot show ${this.chosen.name}, but it can be sent.`)
  }
  async send() {
    const crop = this.cropper.field.value, type = this.chosen.type || "application/octet-stream"
    this.find.disabled = true
    byId("problem").hidden = true
    this.say("Sending the image and looking for its neighbors; the first time the network is loaded.")
    try {
      const answer = await fetch(`query${crop ? `?crop=${encodeURIComponent(crop)}` : ""}`, { method: "POST", body: this.chosen, headers: { "Content-Type": type } })
      const { location: found, error } = await answer.json()
      if (found) this.follow(found)
      else this.fail(sentence(error))
    } catch {
      this.fail("The server does not answer: is it still running? Start it again, then send the image again.")
    }
  }
  follow(found) {
    const address = new URL(found, location.href)
    for (const name of ["k", "only"]) {
      const { value } = this.form.elements[name]
      if (value) address.searchParams.set(name, value)
    }
    location.assign(address)
  }
}

// An image may also be pasted, or dropped anywhere on the page
const receive = asker => {
  const drop = byId("drop"), isFile = event => event.dataTransfer?.types.includes("Files")
  byId("file").addEventListener("change", event => asker.choose(event.target.files[0]))
  addEventListener("paste", event => {
    const file = event.clipboardData?.files[0]
    if (file) { event.preventDefault(); asker.choose(file) }
  })
  addEventListener("dragover", event => { if (isFile(event)) { event.preventDefault(); drop.classList.add("over") } })
  addEventListener("dragleave", event => { if (!event.relatedTarget) drop.classList.remove("over") })
  addEventListener("drop", event => {
    if (!isFile(event)) return
    event.preventDefault()
    drop.classList.remove("over")
    asker.choose(event.dataTransfer.files[0])
  })
}

whenReady(() => {
  for (const button of all("[data-copy]")) { button.hidden = false; button.addEventListener("click", copyCommand) }
  const form = byId("ask")
  if (form) receive(new Asker(form))
})
