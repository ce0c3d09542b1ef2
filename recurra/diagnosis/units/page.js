"use strict";
// Activations come as one zlib stream a unit, two levels of 0 to 15 a byte; only the unit that is looked at is unpacked,
// and only the lines in sight are coloured.
const data = JSON.parse(document.getElementById("data").textContent);
const place = document.getElementById("text"), map = document.getElementById("map");
const shown = document.getElementById("activation"), layerBox = document.getElementById("layer");
const unitBox = document.getElementById("unit");
const LEVELS = 16;
const tokenOf = tokens();
let levels = null, layer = 0, unit = 0, asked = 0;

function tokens() {
  const of = new Uint32Array(data.text.length);
  if (data.starts === null) return of.map((_, at) => at);
  data.starts.forEach((start, token) => of.fill(token, start, data.starts[token + 1] ?? of.length));
  return of;
}

async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed), (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const pairs = new Uint8Array(await new Response(stream).arrayBuffer());
  const found = new Uint8Array(pairs.length * 2);
  pairs.forEach((pair, at) => { found[2 * at] = pair >> 4; found[2 * at + 1] = pair & 15; });
  return found;
}

function colour(level) {
  const value = (2 * level) / (LEVELS - 1) - 1;  // -1 to 1
  const strength = Math.pow(Math.abs(value), 1.3) * 0.85;
  return `rgb(var(--${value < 0 ? "low" : "high"}) / ${strength.toFixed(3)})`;
}

const lines = [];
function makeLines() {
  let start = 0;
  for (const line of data.text.split("\n")) {
    const box = document.createElement("div");
    box.textContent = line;
    box.start = start;
    box.length = line.length;
    lines.push(box);
    start += line.length + 1;
  }
  place.append(...lines);
}

function paint(box) {
  if (levels === null || box.painted === asked) return;
  box.painted = asked;
  const parts = [];
  for (let at = 0; at < box.length;) {
    const from = at, level = levels[tokenOf[box.start + at]];
    while (at < box.length && levels[tokenOf[box.start + at]] === level) at += 1;
    const span = document.createElement("span");
    span.textContent = data.text.slice(box.start + from, box.start + at);
    span.style.background = colour(level);
    parts.push(span);
  }
  box.replaceChildren(...parts);
}

const seen = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) { seen.add(entry.target); paint(entry.target); } else {
      // Plain text again: a page of coloured letters far away would only slow the rest.
      seen.delete(entry.target);
      if (entry.target.painted) { entry.target.textContent = entry.target.textContent; entry.target.painted = 0; }
    }
  }
}, { root: place, rootMargin: "400px" });

function paintMap() {
  const rows = Math.max(1, Math.ceil(data.text.length / 4000)), columns = 100;
  const perRow = Math.max(1, rows);
  map.width = columns;
  map.height = Math.ceil(lines.length / perRow);
  const brush = map.getContext("2d"), style = getComputedStyle(document.documentElement);
  const ink = { low: style.getPropertyValue("--low").trim(), high: style.getPropertyValue("--high").trim() };
  lines.forEach((box, number) => {
    if (number % perRow) return;
    for (let column = 0; column < Math.min(columns, box.length); column += 1) {
      const value = (2 * levels[tokenOf[box.start + column]]) / (LEVELS - 1) - 1;
      brush.fillStyle = `rgb(${ink[value < 0 ? "low" : "high"]} / ${Math.abs(value)})`;
      brush.fillRect(column, number / perRow, 1, 1);
    }
  });
}

async function show(newLayer, newUnit) {
  layer = Math.min(Math.max(0, newLayer), data.units.length - 1);
  unit = Math.min(Math.max(0, newUnit), data.units[layer].length - 1);
  asked += 1;
  const mine = asked, found = await unpack(data.units[layer][unit]);
  if (mine !== asked) return;
  levels = found;
  layerBox.value = layer;
  unitBox.value = unit;
  for (const button of document.querySelectorAll("button.unit")) {
    button.setAttribute("aria-pressed", Number(button.dataset.layer) === layer && Number(button.dataset.unit) === unit);
  }
  const [low, high] = data.ranges[layer][unit];
  document.getElementById("low").textContent = low.toFixed(2);
  document.getElementById("high").textContent = high.toFixed(2);
  seen.forEach(paint);
  paintMap();
  location.hash = `${layer + 1}.${unit}`;
}

function pointed(event) {
  const box = event.target.closest("#text div");
  if (!box || levels === null) return;
  const caret = document.caretPositionFromPoint?.(event.clientX, event.clientY);
  const range = caret ? null : document.caretRangeFromPoint?.(event.clientX, event.clientY);
  const node = caret ? caret.offsetNode : range?.startContainer, offset = caret ? caret.offset : range?.startOffset;
  if (!node || !box.contains(node)) return;
  let at = offset;
  for (let before = node.parentNode; before !== box && before.previousSibling; before = before.previousSibling) {
    at += before.previousSibling.textContent.length;
  }
  const token = tokenOf[Math.min(box.start + at, data.text.length - 1)];
  const [low, high] = data.ranges[layer][unit];
  const value = low + (levels[token] / (LEVELS - 1)) * (high - low);
  shown.textContent = `line ${lines.indexOf(box) + 1}, column ${at + 1}: about ${value.toFixed(2)}`;
}

makeLines();
lines.forEach((line) => watcher.observe(line));
data.units.forEach((units, at) => layerBox.append(new Option(`layer ${at + 1} (${units.length} units)`, at)));
const steps = Array.from({ length: LEVELS }, (_, level) => colour(level));
document.getElementById("scale").style.background = `linear-gradient(to right, ${steps.join(", ")})`;
layerBox.addEventListener("change", () => show(Number(layerBox.value), 0));
unitBox.addEventListener("change", () => show(layer, Number(unitBox.value)));
document.getElementById("previous").addEventListener("click", () => show(layer, unit - 1));
document.getElementById("next").addEventListener("click", () => show(layer, unit + 1));
for (const button of document.querySelectorAll("button.unit")) {
  button.addEventListener("click", () => show(Number(button.dataset.layer), Number(button.dataset.unit)));
}
place.addEventListener("mousemove", pointed);
map.addEventListener("click", (event) => {
  const box = map.getBoundingClientRect();
  lines[Math.floor(((event.clientY - box.top) / box.height) * lines.length)]?.scrollIntoView({ block: "center" });
});
document.addEventListener("keydown", (event) => {
  if (event.target === unitBox) return;
  if (event.key === "ArrowRight") show(layer, unit + 1);
  if (event.key === "ArrowLeft") show(layer, unit - 1);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => levels && paintMap());
const wanted = /^#(\d+)\.(\d+)$/.exec(location.hash);
const first = document.querySelector("button.unit");
if (wanted) show(Number(wanted[1]) - 1, Number(wanted[2]));
else if (first) show(Number(first.dataset.layer), Number(first.dataset.unit));
else show(0, 0);
