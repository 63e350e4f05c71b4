// Tables that people open in a spreadsheet, as src/io/csv_cells.py writes them
"use strict"

// A spreadsheet computes what begins like this, blanks aside, unless it is a number
const FORMULA = /^'*(?:[\s\x1c-\x1f\x85]*[=+\-@＝＋－＠]|[\t\r\n])/
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

const csvCell = value => {
  const text = String(value), cell = FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}

const csvText = rows => rows.map(row => row.map(csvCell).join(",") + "\r\n").join("")

const download = (name, text) => {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}))
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)  // the browser may still be reading it
}
