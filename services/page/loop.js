// How it goes: freshness, quality by day with promotions marked, drift, what the loop does next, what is wrong.
// What is told comes from the endpoint's /about; nothing is asked here.
import { element } from "./parts.js"

const words = (text) => String(text).replaceAll("_", " ")
// Commands stand between backticks.
const withCode = (text) => String(text).split("`").map((part, n) => (n % 2 ? element("code", {}, part) : part))
const svg = (name, attributes, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}
const dayNumber = (day) => Date.parse(`${day}T00:00:00Z`) / 864e5

const ROLES = { baseline: "baseline", candidate: "candidate", champion: "champion", answered: "as answered" }

// What was really answered, by day: of the version that answered most.
function answeredByDay(live, metric) {
  const days = new Map()
  for (const one of live?.metric === metric ? live.by_day : []) {
    if (one.day && one.value !== null && !(days.get(one.day)?.n_known >= one.n_known)) days.set(one.day, { ...one, role: "answered", last_day: one.day })
  }
  return [...days.values()].sort((one, other) => one.day.localeCompare(other.day))
}

// A line a model over days, promotions as upright lines; the table beneath has the newest window in numbers.
function qualityOverTime(quality, promoted, answered) {
  const points = [...quality.by_day.filter((one) => one.value !== null), ...answered]
  if (!points.length) return element("p", { class: "quiet" }, "No outcome after the champion's training is known yet.")
  const [width, height, left, bottom] = [640, 200, 44, 22]
  const days = points.map((one) => dayNumber(one.last_day)), values = points.map((one) => one.value)
  if (quality.judged_by !== null) values.push(quality.judged_by)
  const [first, last, least, most] = [Math.min(...days), Math.max(...days), Math.min(...values), Math.max(...values)]
  const x = (day) => left + (width - left - 8) * (last > first ? (day - first) / (last - first) : 0.5)
  const y = (value) => 8 + (height - bottom - 16) * (most > least ? (most - value) / (most - least) : 0.5)
  const drawn = svg("svg", { class: "over-time", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${words(quality.metric)} by day of champion, candidate, baseline and what was answered` })
  for (const value of [least, (least + most) / 2, most]) {
    drawn.append(svg("path", { class: "grid", d: `M${left},${y(value)} H${width - 8}` }), svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(3)))
  }
  if (quality.judged_by !== null) drawn.append(svg("path", { class: "judged", d: `M${left},${y(quality.judged_by)} H${width - 8}` }))
  for (const one of promoted.filter((one) => one.day && dayNumber(one.day) >= first && dayNumber(one.day) <= last)) {
    const told = `${words(one.kind)} ${one.version.slice(0, 12)}`
    drawn.append(svg("path", { class: "promoted", d: `M${x(dayNumber(one.day))},8 V${height - bottom}` }, svg("title", {}, told)), svg("text", { class: "promoted", x: x(dayNumber(one.day)) + 4, y: 16 }, told))
  }
  for (const role of Object.keys(ROLES)) {
    const own = points.filter((one) => one.role === role)
    if (own.length) drawn.append(svg("path", { class: `of-${role}`, d: own.map((one, n) => `${n ? "L" : "M"}${x(dayNumber(one.last_day)).toFixed(1)},${y(one.value).toFixed(1)}`).join(" ") }))
    for (const one of own) drawn.append(svg("circle", { class: `of-${role}`, cx: x(dayNumber(one.last_day)), cy: y(one.value), r: 2.5 }, svg("title", {}, `${ROLES[role]} ${one.last_day}: ${one.value.toFixed(3)}`)))
  }
  const day = (number) => new Date(number * 864e5).toISOString().slice(0, 10)
  drawn.append(svg("text", { x: left, y: height - 5 }, day(first)), svg("text", { x: width - 8, y: height - 5, "text-anchor": "end" }, day(last)))
  return drawn
}

function table(heads, rows, name) {
  return element("table", { class: name }, element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))))))
}

function qualityTable(quality) {
  const sure = (one) => one.low === null ? "" : `${one.low.toFixed(3)} to ${one.high.toFixed(3)}`
  const rows = quality.recent.map((one) => [element("span", { class: `key of-${one.role}` }, one.role), one.value === null ? "–" : one.value.toFixed(4), sure(one), `${one.n_known.toLocaleString()} of ${one.n_rows.toLocaleString()}`])
  return table([`Newest ${quality.window_days} days`, words(quality.metric), "95 % interval", "outcomes known"], rows, "recent")
}

function driftTable(drift) {
  const wrong = drift.features.filter((one) => !["steady", "season", "too few"].includes(one.verdict))
  const shown = wrong.length ? wrong : drift.features.slice(0, 5)
  const rows = shown.map((one) => [words(one.name), one.verdict + (one.since ? ` since ${one.since}` : ""), `${one.psi_training.toFixed(2)} of ${one.limit_training.toFixed(2)}`, `${(100 * one.weight).toFixed(1)} %`])
  return table(["Feature", "is", "PSI of its limit", "share of the gain"], rows, "drift")
}

export function loop(told, live) {
  const { data, quality, drift, decided, alerts, promoted } = told
  const made = element("div", { class: "loop" })
  const said = [
    data.newest_day ? `Data until ${data.newest_day}, published ${new Date(data.published_at).toISOString().slice(0, 16).replace("T", " ")} UTC.` : "No day after the champion's training is computed yet.",
    drift ? `${drift.features.filter((one) => ["drift", "missing", "unseen"].includes(one.verdict)).length || "No"} of the farthest features drift (${(100 * drift.share).toFixed(0)} % of the gain).` : "",
  ]
  made.append(element("p", {}, said.filter(Boolean).join(" ")))
  const next = element("div", { class: "next" }, element("h3", {}, "What the loop does next, and why"))
  next.append(element("p", {}, decided ? `${decided.reason} (decided ${new Date(decided.at).toISOString().slice(0, 16).replace("T", " ")} UTC on data until ${decided.day ?? "–"})` : "No files have landed since the champion was made; the retrain policy decides when they do."))
  made.append(next)
  const wrong = element("div", {}, element("h3", {}, alerts.length === 1 ? "One thing needs a look" : alerts.length ? `${alerts.length} things need a look` : "Nothing is wrong"))
  if (alerts.length) wrong.append(element("ul", { class: "alerts" }, ...alerts.map((one) => element("li", { class: one.severity }, element("strong", {}, one.subject), ` ${one.text} `, element("em", {}, ...withCode(one.next))))))
  made.append(wrong)
  if (quality) {
    const answered = answeredByDay(live, quality.metric)
    const shown = element("div", {}, element("h3", {}, "Quality by day"), qualityOverTime(quality, promoted, answered), qualityTable(quality))
    if (answered.length) shown.append(element("p", { class: "quiet" }, element("span", { class: "key of-answered" }, "As answered"), ": with the features known when asked, which may be older than those of the rows the others are judged on."))
    made.append(shown)
  }
  if (drift) made.append(element("div", {}, element("h3", {}, `Drift, ${drift.first_day} to ${drift.last_day}`), driftTable(drift)))
  return made
}
