// The page of the endpoint: asks it what a caller could ask, and shows what it says.
import { card, element, lineage, reasons, steps } from "./parts.js"
import { loop } from "./loop.js"

const at = (id) => document.getElementById(id)
let model = null // null: the one that answers without a name
let described = null
let toCome = []

class Refused extends Error {
  constructor(status, problem) { super(problem.detail ?? `status ${status}`); this.status = status; this.problem = problem }
}

async function ask(path, body) {
  const headers = {}
  const key = sessionStorage.getItem("key")
  if (key) headers.Authorization = `Bearer ${key}`
  if (body) headers["Content-Type"] = "application/json"
  const reply = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) })
  const told = await reply.json().catch(() => ({}))
  if (reply.status === 401) at("key-form").hidden = false
  if (!reply.ok) throw new Refused(reply.status, told)
  return told
}

const of = (path) => model ? `.${path}/${encodeURIComponent(model)}` : `.${path}`
const words = (name) => name.replaceAll("_", " ")
const short = (version) => version.slice(0, 12)
const time = (text) => text ? new Date(text).toISOString().replace("T", " ").replace(/:\d\d(\.\d+)?Z$/, " UTC") : "none"

function trouble(failure) {
  at("trouble").hidden = !failure
  at("trouble").textContent = failure ? failure.message : ""
}

async function start() {
  try {
    described = await ask(of("/model"))
    at("key-form").hidden = true
    trouble(null)
  } catch (failure) { trouble(failure); return }
  showModel()
  const [coming, about] = await Promise.allSettled([ask(of("/coming")), ask(of("/about"))])
  showComing(coming.value?.coming ?? [])
  showAbout(about.value ?? {})
}

function showModel() {
  const { name, version } = described.model
  document.title = `${words(name)}: predictions`
  at("title").textContent = words(name)
  at("subtitle").textContent = `“${words(described.label)}” of each ${words(described.entity)}, by version ${short(version)}`
  const names = described.models
  at("models-label").hidden = names.length < 2
  at("models").replaceChildren(...names.map((one) => element("option", one === name ? { value: one, selected: "" } : { value: one }, words(one))))
  at("ask-title").textContent = `Ask about a ${words(described.entity)}`
  at("fields").replaceChildren(...described.request.map(field))
  at("answer").replaceChildren(element("p", { class: "quiet" }, "Pick or write a request, then predict."))
  at("receipt-panel").hidden = true
  ask("./docs.json").then((document_) => {
    const paths = document_.paths
    const own = paths[`/predict/${name}`] ?? paths["/predict"]
    if (!at("coming").value) fill(own.post.requestBody.content["application/json"].example.instances[0])
  }).catch(() => {})
}

function field(column) {
  const id = `field-${column.name}`
  const types = { integer: "number", real: "number", date: "date" }
  const input = element("input", { id, name: column.name, type: types[column.kind] ?? "text", autocomplete: "off", "aria-describedby": `${id}-about` })
  if (column.kind === "real") input.step = "any"
  if (column.is_required) input.required = true
  if (column.minimum != null) input.min = column.minimum
  if (column.maximum != null) input.max = column.maximum
  const unit = column.unit ? `, ${column.unit}` : ""
  const optional = column.is_required ? "" : " (optional)"
  return element("div", { class: "field" }, element("label", { for: id }, `${words(column.name)}${optional}`), input,
    element("small", { id: `${id}-about` }, `${column.description}${unit}`))
}

function fill(instance) {
  for (const column of described.request) at(`field-${column.name}`).value = instance[column.name] ?? ""
}

function written() {
  const instance = {}
  for (const column of described.request) {
    const text = at(`field-${column.name}`).value.trim()
    if (text === "") continue
    instance[column.name] = ["integer", "real"].includes(column.kind) ? Number(text) : column.kind === "boolean" ? text === "true" : text
  }
  return instance
}

function showComing(coming) {
  toCome = coming
  at("coming-box").hidden = !coming.length
  const entity = words(described.entity)
  document.querySelector("label[for=coming-filter]").textContent = `Find one of the next ${coming.length} ${entity}s`
  filter()
}

function filter() {
  const wanted = at("coming-filter").value.toLowerCase().split(/\s+/).filter(Boolean)
  const found = toCome.filter((one) => wanted.every((word) => Object.values(one.instance).join(" ").concat(" ", one.key).toLowerCase().includes(word)))
  const told = (one) => `${time(one.prediction_at)}  ${Object.entries(one.instance).filter(([name, value]) => value !== null && !name.endsWith("_at")).map(([, value]) => value).join(" ")}`
  at("coming").replaceChildren(...found.map((one) => element("option", { value: one.key }, told(one))))
}

// Of the version that serves: predictions that were answered, beside what came true since.
function quality(live) {
  const own = live?.in_all.find((one) => one.version === described.model.version)
  if (!own) return "no outcome of its predictions is known yet"
  const share = `outcomes of ${own.n_known.toLocaleString()} of ${own.n_predicted.toLocaleString()} predictions are known`
  if (own.value === null) return `${share}, too few for ${words(live.metric)}`
  const interval = own.low === null ? "" : ` (95 %: ${own.low.toFixed(3)} to ${own.high.toFixed(3)})`
  return `${words(live.metric)} ${own.value.toFixed(3)}${interval}; ${share}`
}

// The first thing that is said; the rest on request.
function why(reason) {
  const [first, ...rest] = reason.split("; ")
  return rest.length ? [element("details", {}, element("summary", {}, first), rest.join("; "))] : [first]
}

function showAbout(about) {
  const facts = [
    ["Version", short(described.model.version)],
    ["Champion since", about.champion_since ? time(about.champion_since) : "not told here"],
    ["Live quality", quality(about.live_quality)],
    ["Loaded", time(described.loaded_at)],
    ["Features as of", time(described.features_as_of)],
    ["Edition", described.edition.id],
    ["Features", described.not_compiled ? `asked of DuckDB: ${described.not_compiled}` : "compiled from their SQL"],
    ["Log", described.log ? `${described.log.n_written.toLocaleString()} answers written, ${described.log.n_dropped.toLocaleString()} dropped` : "off"],
    ["Not taken", described.failures.map((one) => one.message).join("; ") || "nothing"],
  ]
  at("state").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]))
  const rows = (about.history ?? []).map((one) => element("tr", {}, element("td", {}, time(one.at)), element("td", {}, words(one.kind)),
    element("td", {}, element("code", {}, short(one.version))), element("td", {}, ...why(one.reason ?? ""))))
  const heads = ["When", "What", "Version", "Why"]
  at("history").replaceChildren(rows.length
    ? element("table", { class: "history" }, element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))), element("tbody", {}, ...rows))
    : element("p", { class: "quiet" }, "No ledger is followed."))
  if (about.loop) at("loop").replaceChildren(loop(about.loop, about.live_quality))
  at("card").replaceChildren(about.card ? card(about.card) : element("p", { class: "quiet" }, "No card is known here."))
}

function showAnswer(answer) {
  const [prediction] = answer.predictions
  const made = element("div")
  if (prediction.probabilities) {
    const shares = Object.entries(prediction.probabilities).sort((one, other) => other[1] - one[1])
    made.append(element("p", { class: "score" }, String(prediction.prediction)),
      element("table", {}, element("tbody", {}, ...shares.map(([name, share]) => element("tr", {}, element("td", {}, name), element("td", {}, `${(100 * share).toFixed(1)} %`))))))
  } else if (described.task === "binary") {
    const share = 100 * prediction.score
    made.append(element("p", { class: "score" }, `${share.toFixed(1)} %`), element("p", {}, `probability of “${words(described.label)}”`),
      element("div", { class: "meter", "aria-hidden": "true" }, element("span", { style: `width: ${share}%` })))
  } else {
    made.append(element("p", { class: "score" }, String(+(prediction.prediction ?? prediction.score).toPrecision(6))), element("p", {}, words(described.label)))
  }
  for (const warning of prediction.warnings ?? []) made.append(element("p", { class: "warning" }, `${words(warning.column)} ${warning.value ?? ""} ${warning.message}`))
  if (prediction.explanation) made.append(reasons(prediction.explanation, ["binary", "multiclass"].includes(described.task)))
  const button = element("button", { type: "button" }, "What does it rest on?")
  button.addEventListener("click", () => showReceipt(answer.id, button))
  made.append(button, element("p", { class: "quiet" }, "Answer ", element("code", {}, answer.id), `, version ${short(answer.model.version)}, features as of ${time(answer.features_as_of)}`))
  at("answer").replaceChildren(made)
}

async function showReceipt(id, button) {
  button.disabled = true
  at("receipt-panel").hidden = false
  at("receipt").replaceChildren(element("p", { class: "quiet" }, "Every hash is held against its bytes; this takes some seconds …"))
  try {
    const receipt = await ask(`./receipt/${encodeURIComponent(id)}`)
    const verdict = receipt.is_verified ? "Everything is as it was." : "Something is not what it was."
    at("receipt").replaceChildren(element("p", { class: receipt.is_verified ? "verdict-verified" : "verdict-failed" }, verdict), lineage(receipt), steps(receipt))
  } catch (failure) { at("receipt").replaceChildren(element("p", { class: "trouble" }, failure.message)) }
  button.disabled = false
}

async function predict(event) {
  event.preventDefault()
  document.querySelectorAll(".field .why").forEach((one) => one.remove())
  document.querySelectorAll(".field.wrong").forEach((one) => one.classList.remove("wrong"))
  at("predict").disabled = true
  try {
    const body = { instances: [written()] }
    showAnswer(await ask(`${of("/predict")}?explain=true`, body).catch((failure) => {
      if (failure.problem?.type?.endsWith("not-explained")) return ask(of("/predict"), body)
      throw failure
    }))
    trouble(null)
  } catch (failure) {
    const listed = failure.problem?.errors ?? []
    for (const error of listed) {
      const name = error.field.replace(/^instances\[0\]\.?/, "")
      const input = at(`field-${name}`)
      if (!input) continue
      input.parentElement.classList.add("wrong")
      input.parentElement.append(element("small", { class: "why" }, error.message))
    }
    at("answer").replaceChildren(element("p", { class: "trouble" }, failure.message))
  }
  at("predict").disabled = false
}

at("request").addEventListener("submit", predict)
at("coming-filter").addEventListener("input", filter)
at("coming").addEventListener("change", () => {
  const chosen = toCome.find((one) => one.key === at("coming").value)
  if (chosen) { fill(chosen.instance); at("request").requestSubmit() }
})
at("models").addEventListener("change", () => { model = at("models").value; start() })
at("key-form").addEventListener("submit", (event) => { event.preventDefault(); sessionStorage.setItem("key", at("key").value.trim()); start() })
start()
