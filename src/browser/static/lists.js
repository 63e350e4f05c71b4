// In an export a page has several lists, and the address says which one is shown. Of data-list it is
// one, the first unless another is named; of data-list-of-all they are all, unless one is named.
"use strict"

whenReady(() => {
  const asked = location.search.slice(1)
  const only = (lists, shown) => lists.forEach(list => { list.hidden = list !== shown })
  const lists = all("[data-list]"), parts = all("[data-list-of-all]")
  if (!IS_STATIC) return
  if (lists.length) only(lists, lists.find(list => list.dataset.list === asked) ?? lists[0])
  const part = parts.find(list => list.dataset.listOfAll === asked)
  if (!part) return
  only(parts, part)
  for (const link of all(".chips a")) {
    if (link.search.slice(1) === asked) link.setAttribute("aria-current", "true")
    else link.removeAttribute("aria-current")
  }
})
