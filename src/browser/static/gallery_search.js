// The search of an exported gallery: what src/browser/search.py and edits.py do, by the same rules.
"use strict"

const MIN_LETTERS = 3, LONG = 8, MAX_INSTEAD = 5

// The catalog: {rows, images, columns: [{name, values, spelled, codes}], orders, texts}, made once
let catalogMade = null
const loadCatalog = () => catalogMade ??= (async () => {
  const overview = await load("gallery", 0)
  const codes = await Promise.all(overview.columns.map((_, number) => load("gallery-codes", number)))
  const columns = overview.columns.map(([name, values, spelled], number) => ({name, values, spelled, codes: codes[number]}))
  return {...overview, columns}
})()

// The texts of all images, loaded with the first search
let textsMade = null
const loadTexts = ({texts}) => textsMade ??= (async () => {
  const chunks = await Promise.all(Array.from({length: texts}, (_, number) => load("gallery-texts", number)))
  return chunks.flatMap(chunk => chunk.split("\n"))
})()

// How many edits make one word of another; both are lists of letters
const editsBetween = (word, other) => {
  let last = [], above = [], row = Array.from({length: other.length + 1}, (_, j) => j)
  word.forEach((letter, i) => {
    [last, above, row] = [above, row, [i + 1]]
    other.forEach((otherLetter, j) => {
      let edits = Math.min(above[j] + (letter !== otherLetter), above[j + 1] + 1, row[j] + 1)
      if (i && j && letter === other[j - 1] && word[i - 1] === otherLetter) edits = Math.min(edits, last[j - 1] + 1)
      row.push(edits)
    })
  })
  return row[other.length]
}

// Words of titles, artists, dates and labels with how often they occur
let vocabularyMade = null
const vocabulary = (catalog, texts) => {
  if (vocabularyMade) return vocabularyMade
  const counts = new Map()
  const count = (text, times) => text.split(" ").forEach(word => counts.set(word, (counts.get(word) ?? 0) + times))
  texts.forEach(text => count(text.slice(0, text.indexOf("|")), 1))
  for (const {spelled, codes} of catalog.columns) {
    const times = new Uint32Array(spelled.length + 1)
    codes.forEach(code => { times[code] += 1 })
    spelled.forEach((text, code) => count(text, times[code]))
  }
  const isWord = ([word, times]) => times && !/\p{Nd}/u.test(word) && [...word].length >= MIN_LETTERS
  vocabularyMade = new Map([...counts].filter(isWord))
  return vocabularyMade
}

// The words with the fewest edits from one of the forms of a word, frequent ones first
const nearest = (words, forms) => {
  const near = new Map()
  for (const form of forms) {
    const letters = [...form], limit = letters.length >= LONG ? 2 : 1
    if (letters.length < MIN_LETTERS || /\p{Nd}/u.test(form)) continue
    for (const word of words.keys()) {
      const other = [...word]
      if (Math.abs(other.length - letters.length) > limit) continue
      const edits = editsBetween(letters, other)
      if (edits <= limit) near.set(word, Math.min(edits, near.get(word) ?? edits))
    }
  }
  const fewest = Math.min(...near.values())
  const best = [...near].filter(([, edits]) => edits === fewest).map(([word]) => word)
  return best.sort((a, b) => words.get(b) - words.get(a) || (a < b ? -1 : 1)).slice(0, MAX_INSTEAD)
}

// Which images have one of the words as a part of their texts: a list of 0 and 1
const imagesWith = (catalog, texts, words) => {
  const found = new Uint8Array(catalog.images)
  for (const word of words) {
    texts.forEach((text, image) => { if (text.includes(word)) found[image] = 1 })
    for (const {spelled, codes} of catalog.columns) {
      const has = spelled.map(text => text.includes(word))
      if (has.includes(true)) codes.forEach((code, image) => { if (has[code]) found[image] = 1 })
    }
  }
  return found
}

// For each word of a query {word, instead, images}, as Match of search.py
const searchWords = async (catalog, query) => {
  const texts = await loadTexts(catalog), [words, ...others] = spellings(query).map(text => text.split(" "))
  const asked = words.filter(Boolean).map((word, at) => [...new Set([word, ...others.map(other => other[at])])].join(" "))
  return [...new Set(asked)].map(text => {
    const forms = text.split(" ")
    const images = imagesWith(catalog, texts, forms)
    if (images.includes(1)) return {word: forms[0], instead: [], images}
    const instead = nearest(vocabulary(catalog, texts), forms)
    return {word: forms[0], instead, images: instead.length ? imagesWith(catalog, texts, instead) : images}
  })
}
