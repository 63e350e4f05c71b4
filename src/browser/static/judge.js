// Yes and no below each neighbor of a painting: the server keeps them, also by the keys y and n.
"use strict"

// One after the other, in the order in which they were pressed
let judging = Promise.resolve()

const tell = (text, isProblem) => {
  const told = byId("judged")
  told.textContent = text
  told.classList.toggle("warning", isProblem)
}

const judge = async button => {
  const group = button.closest(".verdict"), isTakenBack = button.getAttribute("aria-pressed") === "true"
  const { query, images } = byId("judging").dataset
  const asked = new URLSearchParams({ query, neighbor: group.dataset.row, judgement: isTakenBack ? "" : button.value, images })
  try {
    const answer = await fetch(`judge?${asked}`, { method: "POST" }).catch(() => { throw new Error("the server does not answer: is it still running?") })
    const told = await answer.json()
    if (!answer.ok) throw new Error(told.error)
    all("button", group).forEach(other => other.setAttribute("aria-pressed", String(other === button && !isTakenBack)))
    tell(told.text, false)
  } catch (error) {
    tell(`Not kept: ${error.message}`, true)
  }
}
const press = button => { judging = judging.then(() => judge(button)) }

all(".verdict, #judging").forEach(part => { part.hidden = false })
all(".verdict button").forEach(button => button.addEventListener("click", () => press(button)))
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event.target)) return
  const value = { y: "1", n: "0" }[event.key]
  const button = value && event.target.closest("#neighbors .card")?.querySelector(`.verdict [value="${value}"]`)
  if (button) press(button)
})
