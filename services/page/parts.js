// Pieces of the page made from data: elements, the plot of reasons, the lineage of a receipt, a card's text.
// Nothing is asked of the endpoint here.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

const shownValue = (value) => value === null ? "missing" : typeof value === "number" ? String(+value.toPrecision(4)) : String(value)

// Each reason with a bar from the middle: to the right it raises, to the left it lowers.
export function reasons(explanation, isOdds, most = 12) {
  const parts = explanation.parts.slice(0, most)
  const greatest = Math.max(...parts.map((part) => Math.abs(part.adds)), 1e-12)
  const rows = parts.map((part) => {
    const share = 50 * Math.abs(part.adds) / greatest
    const side = part.adds > 0 ? "left: 50%" : `right: 50%`
    const told = isOdds ? `odds × ${Math.exp(part.adds).toFixed(2)}` : `${part.adds > 0 ? "+" : "−"}${Math.abs(part.adds).toPrecision(3)}`
    const bar = element("div", { class: "bar" }, element("span", { class: part.adds > 0 ? "more" : "less", style: `${side}; width: ${share}%` }))
    const unit = part.unit && part.value !== null ? ` ${part.unit}` : ""
    return element("tr", {},
      element("td", {}, element("strong", {}, part.feature.replaceAll("_", " ")), ` ${shownValue(part.value)}${unit}`),
      element("td", {}, told), element("td", { "aria-hidden": "true", class: "plot" }, bar))
  })
  const rest = explanation.parts.slice(most)
  const heads = ["Feature", isOdds ? `Odds of ${explanation.of}` : `Adds to ${explanation.of}`, ""]
  const table = element("table", { class: "reasons" },
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...rows))
  const base = isOdds ? `Every row begins at odds of ${Math.exp(explanation.base).toFixed(3)}` : `Every row begins at ${explanation.base.toPrecision(4)}`
  const more = rest.length ? `; ${rest.length} more features ${isOdds ? `multiply them by ${Math.exp(rest.reduce((sum, one) => sum + one.adds, 0)).toFixed(2)}` : `add ${rest.reduce((sum, one) => sum + one.adds, 0).toPrecision(3)}`}` : ""
  return element("div", {}, element("h3", {}, "Why"), table, element("p", { class: "quiet" }, `${base}${more}.`))
}

const MARKS = { verified: "✓", failed: "✗", "not checked": "·" }
const COLUMN = { score: 1, features: 1, model: 2, "files behind the features": 2, promotion: 3, "feature SQL": 3, "training rows": 3, "training SQL": 4, "raw files": 4 }
const FROM = { score: ["answer"], features: ["answer"], model: ["score"], "files behind the features": ["features"], promotion: ["model"], "feature SQL": ["model", "features"], "training rows": ["model"], "training SQL": ["training rows"], "raw files": ["training rows"] }

// The steps of a receipt as boxes from the answer on the left to the raw files on the right.
export function lineage(receipt) {
  const nodes = [{ what: "answer", name: receipt.answer_id, verdict: "verified" }, ...receipt.steps]
  const columns = [[], [], [], [], []]
  for (const node of nodes) columns[node.what === "answer" ? 0 : COLUMN[node.what] ?? 4].push(node)
  const [width, height, gapX, gapY] = [190, 46, 50, 14]
  const tallest = Math.max(...columns.map((column) => column.length))
  const total = { x: 5 * width + 4 * gapX + 8, y: tallest * (height + gapY) + 8 }
  columns.forEach((column, x) => column.forEach((node, y) => {
    node.x = 4 + x * (width + gapX)
    node.y = (total.y - column.length * (height + gapY) + gapY) / 2 + y * (height + gapY)
  }))
  const make = (name, attributes, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name)
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
    made.append(...children)
    return made
  }
  const drawn = make("svg", { class: "lineage", viewBox: `0 0 ${total.x} ${total.y}`, role: "img", "aria-label": "From the answer to the raw files; the list below has the same steps" })
  for (const node of nodes) {
    for (const from of FROM[node.what] ?? []) {
      for (const before of nodes.filter((one) => one.what === from)) {
        const [x, y, ex, ey] = [before.x + width, before.y + height / 2, node.x, node.y + height / 2]
        drawn.append(make("path", { d: `M${x},${y} C${x + gapX / 2},${y} ${ex - gapX / 2},${ey} ${ex},${ey}` }))
      }
    }
  }
  const cut = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text
  for (const node of nodes) {
    const box = make("g", { class: node.verdict.replace(" ", "-"), transform: `translate(${node.x},${node.y})` },
      make("title", {}, `${node.what}: ${node.name}. ${node.reason ?? ""}`),
      make("rect", { width, height, rx: 6 }),
      make("text", { x: 8, y: 18 }, `${MARKS[node.verdict]} ${cut(node.what, 24)}`),
      make("text", { x: 8, y: 35, class: "name" }, cut(node.name, 32)))
    drawn.append(box)
  }
  return drawn
}

export function steps(receipt) {
  const rows = receipt.steps.map((step) => element("tr", {},
    element("td", { class: `verdict-${step.verdict.split(" ")[0]}` }, `${MARKS[step.verdict]} ${step.verdict}`),
    element("td", {}, step.what), element("td", {}, element("code", {}, step.name)), element("td", {}, step.reason)))
  const heads = ["Verdict", "Step", "What", "Why"]
  return element("details", { open: "" }, element("summary", {}, `${receipt.steps.length} steps, each held against what it names`),
    element("table", { class: "steps" }, element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))), element("tbody", {}, ...rows)))
}

function inline(text) {
  return text.split(/(`[^`]*`|\*\*[^*]*\*\*)/).filter(Boolean).map((part) =>
    part.startsWith("`") ? element("code", {}, part.slice(1, -1)) : part.startsWith("**") ? element("strong", {}, part.slice(2, -2)) : part)
}

// The Markdown that cards are written in: headings, tables, lists, paragraphs.
export function card(markdown) {
  const made = element("div")
  for (const block of markdown.trim().split(/\n\s*\n/)) {
    const lines = block.split("\n")
    if (lines[0].startsWith("# ")) continue // the page's own heading says it
    if (lines[0].startsWith("#")) made.append(element("h3", {}, ...inline(lines.shift().replace(/^#+ /, ""))))
    if (!lines.length) continue
    if (lines[0].startsWith("|")) {
      const rows = lines.filter((line) => !/^\|[-| :]+\|$/.test(line)).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))
      const [head, ...body] = rows
      made.append(element("table", {}, element("thead", {}, element("tr", {}, ...head.map((cell) => element("th", { scope: "col" }, ...inline(cell))))),
        element("tbody", {}, ...body.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, ...inline(cell))))))))
    } else if (lines[0].startsWith("- ")) {
      const items = lines.join("\n").split(/\n?^- /m).filter(Boolean)
      made.append(element("ul", {}, ...items.map((item) => element("li", {}, ...inline(item.replaceAll("\n", " "))))))
    } else made.append(element("p", {}, ...inline(lines.join(" "))))
  }
  return made
}
