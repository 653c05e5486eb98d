"use strict";
// Text reaches the page through textContent and attributes only, never as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const { columns, names } = data;
const count = columns.file.length;
const at = (id) => document.getElementById(id);

const examples = new Map();
for (const article of document.querySelectorAll("#rows > .row")) {
  examples.set(Number(article.dataset.place), article);
}
const styleUris = new Map();
for (const image of document.querySelectorAll("img[data-style]")) {
  styleUris.set(image.dataset.style, image.src);
}

const nameOf = (column, place) => names[column][columns[column][place]];
const baseOf = (path) => path.slice(path.lastIndexOf("/") + 1);
const urlOf = (path) => path.split("/").map(encodeURIComponent).join("/");
const copyOf = (place) => data.copies[columns.content[place]];
const share = (value) => (value === null ? "–" : value.toFixed(2));
const whole = (value) => value.toLocaleString("en");

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// ---- labels -----------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";
const PARTS = ["box", "shape", "hatching", "bones", "points", "holes"];

function drawing(place) {
  const outlines = data.outlines[place];
  if (!outlines) return null;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "drawn");
  svg.setAttribute("viewBox", `0 0 ${columns.width[place]} ${columns.height[place]}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const [category, ...paths] of outlines) {
    const group = svg.appendChild(document.createElementNS(SVG, "g"));
    group.setAttribute("stroke", data.colours[category]);
    group.setAttribute("fill", data.colours[category]);
    paths.forEach((d, index) => {
      if (!d) return;
      const path = group.appendChild(document.createElementNS(SVG, "path"));
      path.setAttribute("class", PARTS[index]);
      path.setAttribute("d", d);
    });
  }
  return svg;
}

function chips(place) {
  const counted = new Map();
  for (const [category] of data.outlines[place] ?? []) {
    counted.set(category, (counted.get(category) ?? 0) + 1);
  }
  return [...counted].map(([category, times]) => {
    const chip = element("span", "chip");
    const svg = chip.appendChild(document.createElementNS(SVG, "svg"));
    svg.setAttribute("viewBox", "0 0 10 10");
    const circle = svg.appendChild(document.createElementNS(SVG, "circle"));
    for (const name of ["cx", "cy", "r"]) circle.setAttribute(name, "5");
    circle.setAttribute("fill", data.colours[category]);
    chip.append(element("bdi", "", category), times > 1 ? ` ${times}` : "");
    return chip;
  });
}

// ---- one row ----------------------------------------------------------------------------

function titleOf(place) {
  const title = document.createDocumentFragment();
  const content = nameOf("content", place) || columns.file[place];
  title.append(element("bdi", "", baseOf(content)));
  const style = nameOf("style", place);
  if (style) {
    title.append(" ", element("span", "in", "in the style of"), " ", element("bdi", "", baseOf(style)));
  }
  return title;
}

function lineOf(place) {
  const line = document.createDocumentFragment();
  line.append(nameOf("kind", place).replaceAll("_", " "));
  const label = nameOf("label", place);
  if (label) line.append(" · ", element("bdi", "", label));
  if (nameOf("style", place)) {
    line.append(` · strength ${share(columns.strength[place])}`);
    line.append(` · fidelity ${share(columns.fidelity[place])}`);
  }
  return line;
}

function built(place) {
  const article = at("a-row").content.firstElementChild.cloneNode(true);
  article.dataset.place = place;
  const kind = nameOf("kind", place);
  article.querySelector(".open").setAttribute("aria-label", `Open ${baseOf(columns.file[place])}`);
  const content = article.querySelector(".content");
  const copy = copyOf(place);
  if (copy && kind !== "original") {
    const image = content.querySelector("img");
    image.alt = `photograph ${baseOf(nameOf("content", place))}`;
    image.src = urlOf(copy);
    if (kind === "stylized") {
      setSize(image, place);
      const labels = drawing(place);
      if (labels) content.firstElementChild.append(labels);
    }
  } else {
    content.hidden = true;
  }
  const style = article.querySelector(".style");
  const uri = styleUris.get(nameOf("style", place));
  if (uri) {
    style.querySelector("img").src = uri;
    style.querySelector("img").alt = `style ${baseOf(nameOf("style", place))}`;
  } else {
    style.hidden = true;
  }
  const result = article.querySelector(".result img");
  result.alt = `${kind.replaceAll("_", " ")} image`;
  setSize(result, place);
  result.src = urlOf(columns.file[place]);
  const labels = drawing(place);
  if (labels) article.querySelector(".result .frame").append(labels);
  article.querySelector(".title").replaceChildren(titleOf(place));
  article.querySelector(".line").replaceChildren(lineOf(place));
  article.querySelector(".categories").replaceChildren(...chips(place));
  return article;
}

function setSize(image, place) {
  image.width = columns.width[place];
  image.height = columns.height[place];
}

// ---- filters ----------------------------------------------------------------------------

const filters = at("filters");
let found = [];
let page = 0;
let listsPictures = true;

const chosen = (id) => at(id)?.value ?? "";
const limit = (id, otherwise) => {
  const value = chosen(id);
  return value === "" ? otherwise : Number(value);
};

function placeOf(column, id) {
  const name = chosen(id);
  return name === "" ? null : names[column].indexOf(name);
}

function withinRange(values, name) {
  const from = limit(`${name}-from`, null);
  const to = limit(`${name}-to`, null);
  if (from === null && to === null) return null;
  return (place) => {
    const value = values[place];
    return value !== null && value >= (from ?? -Infinity) && value <= (to ?? Infinity);
  };
}

function tests() {
  const those = [];
  for (const column of ["style", "label", "kind", "split"]) {
    const wanted = placeOf(column, `by-${column}`);
    if (wanted !== null) those.push((place) => columns[column][place] === wanted);
  }
  const object = data.categories.indexOf(chosen("by-object"));
  if (object >= 0) {
    const has = names.objects.map((numbers) => numbers.split(" ").includes(`${object}`));
    those.push((place) => has[columns.objects[place]]);
  }
  for (const name of ["strength", "fidelity"]) {
    const test = withinRange(columns[name], name);
    if (test) those.push(test);
  }
  if (chosen("by-state") === "noted") those.push((place) => names.note[columns.note[place]] !== "");
  const text = chosen("by-name").toLowerCase();
  if (text) those.push((place) => columns.file[place].toLowerCase().includes(text));
  return those;
}

function ordered(places) {
  const order = chosen("by-order");
  if (order === "fidelity" || order === "loss") {
    const values = columns[order];
    const sign = order === "fidelity" ? 1 : -1;
    const known = places.filter((place) => values[place] !== null);
    return known.sort((one, other) => sign * (values[one] - values[other]) || one - other);
  }
  if (order === "dataset") return places;
  const there = new Set(places);
  const first = data.examples.filter((place) => there.has(place));
  const isFirst = new Set(first);
  return [...first, ...places.filter((place) => !isFirst.has(place))];
}

function look() {
  const state = chosen("by-state");
  listsPictures = state !== "failed" && state !== "left-out";
  for (const field of filters.querySelectorAll("select, input")) {
    field.disabled = !listsPictures && field.id !== "by-state" && field.id !== "by-name";
  }
  if (listsPictures) {
    const those = tests();
    const places = [];
    for (let place = 0; place < count; place++) {
      if (those.every((test) => test(place))) places.push(place);
    }
    found = ordered(places);
  } else {
    const text = chosen("by-name").toLowerCase();
    const listed = state === "failed" ? data.failures : data.leftOut;
    found = listed.filter((one) => one.some((part) => `${part}`.toLowerCase().includes(text)));
  }
  page = 0;
  show();
}

function show() {
  const from = page * data.rowsAPage;
  const shown = found.slice(from, from + data.rowsAPage);
  const articles = listsPictures
    ? shown.map((place) => examples.get(place) ?? built(place))
    : shown.map(told);
  if (!found.length) articles.push(element("p", "nothing", "Nothing fits these filters."));
  at("rows").replaceChildren(...articles);
  const pages = Math.max(1, Math.ceil(found.length / data.rowsAPage));
  at("shown").textContent = found.length
    ? `${whole(from + 1)}–${whole(from + shown.length)} of ${whole(found.length)}`
    : "none";
  at("pager").hidden = pages === 1;
  at("page").textContent = `page ${whole(page + 1)} of ${whole(pages)}`;
  at("previous").disabled = page === 0;
  at("next").disabled = page === pages - 1;
}

function told(parts) {
  const article = element("article", "row");
  const images = parts.at(-1);
  article.append(element("h3", "title"));
  article.firstElementChild.append(element("bdi", "", parts.slice(0, -2).join(" × ")));
  const line = article.appendChild(element("p", "line"));
  line.append(element("bdi", "", parts.at(-2)), ` · images missing: ${whole(images)}`);
  return article;
}

function turn(pages) {
  page += pages;
  show();
  at("pictures").scrollIntoView();
}

filters.addEventListener("input", look);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(look));
at("previous").addEventListener("click", () => turn(-1));
at("next").addEventListener("click", () => turn(1));

// ---- before and after -------------------------------------------------------------------

document.addEventListener("input", (event) => {
  const compare = event.target.closest?.(".compare");
  if (compare) compare.style.setProperty("--at", `${event.target.value}%`);
});

// ---- one picture, large -----------------------------------------------------------------

const large = at("large");
let opened = 0;

at("rows").addEventListener("click", (event) => {
  const article = event.target.closest(".row[data-place]");
  if (!article || !event.target.closest(".open")) return;
  opened = found.indexOf(Number(article.dataset.place));
  showLarge();
  large.showModal();
});

function pictureOf(place, part, file) {
  return examples.get(place)?.querySelector(`.${part} .frame > img:not(.mask)`)?.src ?? urlOf(file);
}

// An example's own small picture stays where the file itself is not beside this report.
function sharpen(image, file) {
  if (!file || image.src.startsWith("data:") === false) return;
  const whole = new Image();
  whole.addEventListener("load", () => { image.src = whole.src; });
  whole.src = urlOf(file);
}

function fitted(node, place) {
  const ratio = columns.width[place] / columns.height[place];
  node.style.width = `min(100%, calc(58dvh * ${ratio.toFixed(4)}))`;
  return node;
}

function staged(place) {
  const kind = nameOf("kind", place);
  const hasContent = kind === "stylized" && (copyOf(place) || examples.get(place)?.querySelector(".content img"));
  const after = pictureOf(place, "result", columns.file[place]);
  if (!hasContent) {
    const frame = element("span", "frame");
    const image = frame.appendChild(element("img"));
    image.alt = `${kind.replaceAll("_", " ")} image`;
    setSize(image, place);
    image.src = after;
    sharpen(image, columns.file[place]);
    addLabels(frame, place);
    return fitted(frame, place);
  }
  const compare = at("a-compare").content.firstElementChild.cloneNode(true);
  const [result, content] = compare.querySelectorAll("img");
  setSize(result, place);
  result.src = after;
  content.src = pictureOf(place, "content", copyOf(place));
  sharpen(result, columns.file[place]);
  sharpen(content, copyOf(place));
  addLabels(compare, place, compare.querySelector(".tag"));
  return fitted(compare, place);
}

function addLabels(into, place, before = null) {
  const own = examples.get(place)?.querySelectorAll(".result .drawn");
  const drawn = own ? [...own].map((one) => one.cloneNode(true)) : [drawing(place)];
  for (const one of drawn) if (one) into.insertBefore(one, before);
}

function showLarge() {
  const place = found[opened];
  at("large-title").replaceChildren(titleOf(place));
  at("stage").replaceChildren(staged(place));
  const style = styleUris.get(nameOf("style", place));
  at("large-style").hidden = !style;
  if (style) at("large-style").src = style;
  at("large-style").alt = style ? `style ${baseOf(nameOf("style", place))}` : "";
  const own = examples.get(place)?.querySelectorAll(".categories > *");
  at("large-categories").replaceChildren(...(own ? [...own].map((one) => one.cloneNode(true)) : chips(place)));
  const facts = [
    ["Kind", nameOf("kind", place).replaceAll("_", " ")],
    ["Class", nameOf("label", place)],
    ["Split", nameOf("split", place)],
    ["Recipe", nameOf("recipe", place)],
    ["Strength", columns.strength[place]?.toFixed(2)],
    ["Fidelity", columns.fidelity[place]?.toFixed(2)],
    ["Loss at the end", columns.loss[place]?.toPrecision(3)],
    ["Size", `${columns.width[place]} × ${columns.height[place]} px`],
    ["Notes", names.note[columns.note[place]]],
    ["File", columns.file[place]],
  ].filter(([, value]) => value !== undefined && value !== "");
  at("large-facts").replaceChildren(...facts.map(([name, value]) => {
    const pair = element("div", ["File", "Notes"].includes(name) ? "long" : "");
    pair.append(element("dt", "", name));
    pair.appendChild(element("dd")).append(element("bdi", "", value));
    return pair;
  }));
  const extension = columns.file[place].slice(columns.file[place].lastIndexOf(".") + 1);
  at("large-command").textContent = `gramflow replay ${data.where} ${columns.id[place]} -o again.${extension}`;
  at("large-place").textContent = `${whole(opened + 1)} of ${whole(found.length)}`;
  at("large-previous").disabled = opened === 0;
  at("large-next").disabled = opened === found.length - 1;
}

function step(by) {
  opened += by;
  showLarge();
}

at("large-previous").addEventListener("click", () => step(-1));
at("large-next").addEventListener("click", () => step(1));
at("close").addEventListener("click", () => large.close());
large.addEventListener("click", (event) => {
  if (event.target === large) large.close();
});

// ---- copying ----------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    } catch {
      getSelection().selectAllChildren(code);
    }
  });
}

filters.hidden = false;
look();
