// Text without the difference of case, accents, ligatures and what is between words: the functions
// fold() and spellings() of src/gallery/search.py again, for what is typed into a page without a server.
"use strict"

const LETTERS = {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
const DIGRAPHS = {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"}
// Marks are accents in the scripts before Syriac (U+0700); in later ones they are letters' parts
const ACCENTS = /\p{Cf}|(?=[\u0000-\u06ff])\p{Mn}/gu, SIGNS = /[^\p{L}\p{M}\p{N}]+/gu

const casefolded = text => text.toUpperCase().toLowerCase().replaceAll("ς", "σ")
const exchanged = (text, letters) => [...text].map(letter => letters[letter] ?? letter).join("")
const fold = text => {
  const plain = casefolded(casefolded(text.normalize("NFC")).normalize("NFKD"))
  return exchanged(plain, LETTERS).replace(ACCENTS, "").replace(SIGNS, " ").trim()
}
const spellings = text => [...new Set([fold(text), fold(exchanged(casefolded(text).normalize("NFC"), DIGRAPHS))])]
