"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("choices"), panels = document.getElementById("panels");
const SEVERITY = { name: "contrast severity", ticks: ["0", "1", "2", "3", "4", "5"] };
const escaped = text => String(text).replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);
const known = (wanted, options) => options.includes(wanted) ? wanted : options[0];
const said = key => key.replaceAll("_", " ");
let state = read();

// Return the choices of the address; one without "=" names a place of the page.
function read() { return location.hash.includes("=") ? Object.fromEntries(new URLSearchParams(location.hash.slice(1))) : {}; }

// Return each value once: null first, then numbers by size, then words in the order given.
const rank = value => value === "null" ? -Infinity : isNaN(value) ? Infinity : +value;
const ordered = values => [...new Set(values)].sort((a, b) => rank(a) === rank(b) ? 0 : rank(a) - rank(b));
// Return the values of all lists, those that every list has first; the first is the default.
const united = lists => [...new Set([...lists[0].filter(each => lists.every(list => list.includes(each))), ...lists.flat()])];
// Return the series that are not drawn.
function unchecked() { try { return [].concat(JSON.parse(state.off)); } catch { return []; } }

// Return what is shown: every choice once, and a panel for each source.
function settled() {
  const names = Object.keys(data.sources), source = known(state.source, names.length > 1 ? ["both", ...names] : names);
  const sets = (source === "both" ? names : [source]).map(name => data.sets.filter(each => each.source === name));
  const studies = united(sets.map(own => own.map(set => set.study))), study = known(state.study, studies);
  const shown = sets.map(own => own.find(set => set.study === study) ?? own[0]);
  const factors = united(shown.map(set => set.factors)), by = known(state.by, factors);
  const others = united(shown.map(set => set.factors)).filter(key => key !== by), over = others.length ? known(state.over, others) : "";
  const view = known(state.view, over ? ["severity", "over", "curve"] : ["severity", "curve"]);
  const statistics = known(state.statistics, united(shown.map(set => set.statistics))), severity = known(state.severity, SEVERITY.ticks);
  const panels = shown.map(set => {
    const own = set.factors.filter(key => key !== by), second = own.includes(over) ? over : own[0] ?? "";
    const tables = set.factors.includes(by) && (second === over || view !== "over") ? set.tables[second ? `${by}|${second}` : by] : [];
    const fitting = data.published.filter(each => by === "norm" && each.over === (view === "severity" ? "severity" : view === "over" && second === "batch_size" ? "batch_size" : ""));
    return { set, study: set.study, by, over: second, tables, fitting, view, statistics, severity };
  });
  const at = settle(panels);
  // Of other settings, and of reduced contrast, a paper's table says nothing.
  const fits = paper => (paper.over === "severity" || severity === SEVERITY.ticks[0]) && Object.entries(paper.where).every(([key, values]) => !(key in at) || values.includes(at[key]));
  for (const panel of panels) panel.fitting = panel.fitting.filter(fits);
  const fitting = [...new Set(panels.flatMap(panel => panel.fitting))];
  const published = known(state.published, ["", ...fitting.map(each => each.name)]);
  for (const panel of panels) panel.published = panel.fitting.some(each => each.name === published) ? published : "";
  return { source, study, studies, factors, by, others, over, view, statistics, severity, at, fitting, published, panels };
}

// Give each panel its block and its settings: the block that fits the choices best decides for all panels.
function settle(panels) {
  const fits = each => Object.entries(each.at).reduce((sum, [key, value]) =>
    sum + (state[key] === value ? (key === state.changed ? 100 : 1) : value === "none" ? .01 : 0), 0);
  const fittest = tables => tables.reduce((best, each) => fits(each) > fits(best) ? each : best, tables[0]);
  const at = { ...fittest(panels.flatMap(panel => panel.tables))?.at };
  for (const panel of panels) {
    panel.table = fittest(panel.tables.filter(each => Object.entries(each.at).every(([key, value]) => !(key in at) || at[key] === value)));
    Object.assign(at, panel.table?.at);
  }
  for (const { over } of panels) {
    const lists = panels.filter(panel => panel.over === over && panel.table).map(panel => panel.table.columns);
    if (over && lists.length && !(over in at)) at[over] = known(state[over], united(lists));
  }
  for (const panel of panels) {
    const asked = Object.entries(at).filter(([key]) => key !== panel.by && panel.set.factors.includes(key));
    panel.settings = { ...(panel.table?.at ?? Object.fromEntries(asked)), ...(panel.over in at ? { [panel.over]: at[panel.over] } : {}) };
  }
  return at;
}

// Return the settings to choose, each with the values that some panel has.
function optionsOf(panels) {
  const found = {}, offer = (key, values) => { found[key] = ordered([...(found[key] ?? []), ...values]); };
  for (const panel of panels) {
    if (panel.over && panel.view !== "over") offer(panel.over, panel.table?.columns ?? []);
    for (const table of panel.tables) for (const [key, value] of Object.entries(table.at)) offer(key, [value]);
  }
  return Object.entries(found).filter(([, values]) => values.length > 1);
}

// One row for each drawn value: what the curve, the table and the CSV file have.
function rowsOf(at) {
  return cellsOf(at).flatMap(({ series, i, j, cell }) => {
    if (!cell) return [];
    const row = (x, tick, found, severity) => {
      const grades = at.view === "curve" ? null : at.table.grades[at.statistics]?.[severity];
      const images = severity === 0 && at.statistics === "running" && at.view !== "curve" ? cell.images : null;
      return { series, x, tick, severity, cell, ...found, images, reference: grades?.reference, compared: grades?.rows[i][j] };
    };
    const accuracy = cell.accuracy[at.statistics] ?? [];
    if (at.view === "curve") return cell.curve.y.map((found, k) => row(cell.curve.x[k], cell.curve.x[k], found, null));
    if (at.view === "over") return [row(j, at.table.columns[j], accuracy[at.severity], +at.severity)];
    return accuracy.map((found, k) => row(k, SEVERITY.ticks[k], found, k));
  }).filter(row => row.mean !== undefined);
}

// Return the cells of the checked series, in one column or in all; `cell` is undefined where there is no run.
function cellsOf(at) {
  const off = unchecked(), { set, table } = at;
  if (!table) return [];
  const columns = !at.over ? [0] : at.view === "over" ? [...table.columns.keys()] : [table.columns.indexOf(at.settings[at.over])];
  return table.series.flatMap((series, i) => off.includes(series) ? [] : columns.map(j => ({ series, i, j, cell: set.cells[table.rows[i][j]] })));
}

// Return which cells have no value, and which curves are means over a part of the runs.
function notes(at, rows) {
  return cellsOf(at).flatMap(({ series, j, cell }) => {
    const name = at.view === "over" ? `${series} at ${said(at.over)} ${at.table.columns[j]}` : series;
    const row = cell && rows.find(each => each.cell === cell);
    if (!row) return [`${name}: ${cell ? cell.note || "not measured" : "no run"}`];
    return at.view === "curve" && row.n < cell.runs ? [`${name}: mean over the ${row.n} of ${cell.runs} runs that finished`] : [];
  });
}

function axisOf(at, rows, extra) {
  if (at.view === "curve") {
    const end = Math.max(1, ...rows.map(row => row.x));
    const step = nice(end / 4), places = [];
    for (let x = 0; x <= end; x += step) places.push(x);
    return { name: "training images seen", ticks: places.map(x => x >= 1000 ? `${x / 1000}k` : `${x}`), places, low: 0, high: end, at: row => row.x, dodge: 0 };
  }
  let ticks = at.view === "over" ? at.table.columns : SEVERITY.ticks;
  const isSize = at.view === "over" && at.over === "batch_size";
  if (isSize) ticks = [...new Set([...ticks, ...extra.map(each => each.tick)])].sort((a, b) => a - b);
  const places = ticks.map((tick, i) => isSize ? Math.log2(tick) : i);
  return { name: at.view === "over" ? said(at.over) : SEVERITY.name, ticks, places, low: places[0] - .4, high: places.at(-1) + .4, at: row => places[ticks.indexOf(row.tick)], dodge: .4 };
}

function nice(step) {
  const unit = 10 ** Math.floor(Math.log10(step));
  return [1, 2, 5, 10].map(times => times * unit).find(each => each >= step);
}

// Return the published numbers of the series that are drawn.
function publishedRows(at, rows) {
  const numbers = Object.entries(data.published.find(each => each.name === at.published)?.numbers ?? {});
  return numbers.filter(([series]) => rows.some(row => row.series === series))
    .flatMap(([series, own]) => Object.entries(own).map(([tick, mean]) => ({ series, tick, mean })));
}

// The frame holds the means; intervals of few seeds are wide and may run out of it.
function frameOf(rows, extra) {
  const means = [...rows, ...extra].map(row => row.mean);
  if (!means.length) return [0, 100];
  const least = Math.min(...means), most = Math.max(...means), room = Math.max(2, .3 * (most - least));
  const ends = rows.flatMap(row => [...(row.interval || []), ...(row.images || [])]);
  const low = Math.max(Math.min(least, ...ends), least - room), high = Math.min(Math.max(most, ...ends), most + room);
  return [Math.max(0, low - .06 * (high - low)), Math.min(100, high + .06 * (high - low))];
}

const star = (points, inner) => Array.from({ length: 2 * points }, (_, i) => {
  const r = i % 2 ? inner : 1.3, a = Math.PI * (i / points - .5);
  return [r * Math.cos(a), r * Math.sin(a)];
});
const CROSS = [[-1.2, -.4], [-.4, -.4], [-.4, -1.2], [.4, -1.2], [.4, -.4], [1.2, -.4], [1.2, .4], [.4, .4], [.4, 1.2], [-.4, 1.2], [-.4, .4], [-1.2, .4]];
const turned = (points, a) => points.map(([x, y]) => [x * Math.cos(a) - y * Math.sin(a), x * Math.sin(a) + y * Math.cos(a)]);
const UP = [[0, -1.2], [1.1, .9], [-1.1, .9]];
const SHAPES = { s: [[-.9, -.9], [.9, -.9], [.9, .9], [-.9, .9]], D: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]], P: CROSS, X: turned(CROSS, Math.PI / 4), "^": UP, v: turned(UP, Math.PI), "<": turned(UP, -Math.PI / 2), ">": turned(UP, Math.PI / 2), "*": star(5, .55), p: star(5, 1.05) };
function mark(series, x, y, size, hollow, title = "") {
  const [colour, shape] = data.looks[series], paint = `fill="${hollow ? "none" : colour}" stroke="${colour}" stroke-width="1.3"`;
  const inner = title && `<title>${escaped(title)}</title>`;
  if (!SHAPES[shape]) return `<circle cx="${x}" cy="${y}" r="${size}" ${paint}>${inner}</circle>`;
  return `<polygon points="${SHAPES[shape].map(([a, b]) => `${(x + size * a).toFixed(1)},${(y + size * b).toFixed(1)}`).join(" ")}" ${paint}>${inner}</polygon>`;
}

const measureOf = at => at.view === "curve" ? "validation accuracy, %" : "test accuracy, %";

function chart(at, rows, width) {
  const extra = publishedRows(at, rows);
  const axis = axisOf(at, rows, extra), [low, high] = frameOf(rows, extra);
  const height = Math.round(Math.min(420, Math.max(250, .55 * width))), left = 44, right = 18, top = 10, bottom = 44;
  const px = x => left + (x - axis.low) / (axis.high - axis.low || 1) * (width - left - right);
  const py = y => top + (high - Math.min(high, Math.max(low, y))) / (high - low || 1) * (height - top - bottom);
  const text = (x, y, words, more = "") => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="currentColor" ${more}>${escaped(words)}</text>`;
  const parts = [], step = nice((high - low || 1) / 6);
  for (let y = Math.ceil(low / step) * step; y <= high; y += step)
    parts.push(`<line x1="${left}" x2="${width - right}" y1="${py(y)}" y2="${py(y)}" stroke="currentColor" stroke-opacity=".15"/>`, text(left - 6, py(y) + 4, +y.toFixed(2), 'text-anchor="end"'));
  axis.places.forEach((x, i) => parts.push(text(px(x), height - bottom + 18, axis.ticks[i], 'text-anchor="middle"')));
  parts.push(`<line x1="${left}" x2="${width - right}" y1="${height - bottom}" y2="${height - bottom}" stroke="currentColor"/>`);
  const name = measureOf(at);
  parts.push(text((left + width - right) / 2, height - 8, axis.name, 'text-anchor="middle"'), text(12, (height - bottom) / 2, name, `text-anchor="middle" transform="rotate(-90 12 ${(height - bottom) / 2})"`));
  const names = [...new Set(rows.map(row => row.series))];
  names.forEach((series, i) => {
    const own = rows.filter(row => row.series === series), [colour] = data.looks[series];
    const shift = axis.dodge * (i - (names.length - 1) / 2) / Math.max(6, names.length), x = row => px(axis.at(row) + shift);
    const line = (points, more) => points.length > 1 && parts.push(`<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="1.6" ${more}/>`);
    line(own.map(row => `${x(row).toFixed(1)},${py(row.mean).toFixed(1)}`), "");
    for (const row of own) {
      const bar = (ends, wide, opacity) => ends && parts.push(`<line x1="${x(row)}" x2="${x(row)}" y1="${py(ends[0])}" y2="${py(ends[1])}" stroke="${colour}" stroke-width="${wide}" stroke-opacity="${opacity}"/>`);
      bar(row.interval, 5, .35);
      bar(row.images, 1.2, 1);
      for (const end of row.images || []) if (end > low && end < high) parts.push(`<line x1="${x(row) - 4}" x2="${x(row) + 4}" y1="${py(end)}" y2="${py(end)}" stroke="${colour}"/>`);
      const title = `${series}, ${axis.name} ${row.tick}: ${number(row.mean)} % ${ends(row.interval)}, ${row.n} seeds${row.compared ? `; ${row.compared.text}` : ""}`;
      parts.push(`<g data-series="${escaped(series)}" data-x="${escaped(row.tick)}" data-mean="${row.mean}">${mark(series, x(row), py(row.mean), 4, row.n < 3, title)}</g>`);
    }
    const theirs = extra.filter(row => row.series === series);
    line(theirs.map(row => `${px(axis.at(row)).toFixed(1)},${py(row.mean).toFixed(1)}`), 'stroke-dasharray="5 4"');
    theirs.forEach(row => parts.push(mark(series, px(axis.at(row)), py(row.mean), 3.5, true, `published: ${series}, ${row.tick}: ${row.mean} %`)));
  });
  const label = `${name} by ${axis.name}, for ${names.join(", ")}; the table below has every value.`;
  return `<svg role="img" aria-label="${escaped(label)}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">${parts.join("")}</svg>`;
}

const number = (value, digits = 1) => value === undefined || value === null ? "–" : value.toFixed(digits).replace("-", "−");
function ends(interval, digits = 1, open = false) {
  if (!interval) return "–";
  const [low, high] = interval.map((end, i) => end === null ? ["−∞", "∞"][i] : number(end, digits).replace(/^−(0\.?0*)$/, "$1")), zero = (0).toFixed(digits);
  return `${open && low === zero ? "(" : "["}${low}, ${high}${open && high === zero ? ")" : "]"}`;
}

const HEAD = ["", "", "n", "mean, %", "over seeds", "over seeds and images", "difference", "its interval", "grade", "p"];
function table(at, rows) {
  const isGraded = at.view !== "curve", x = at.view === "curve" ? "images seen" : at.view === "over" ? said(at.over) : SEVERITY.name;
  const head = [said(at.by), x, ...HEAD.slice(2)].slice(0, isGraded ? 10 : 5);
  const line = ({ series, cell, tick, n, mean, interval, images, compared, reference }) => [tick, n < cell.runs ? `${n} of ${cell.runs}` : n, number(mean), ends(interval), ends(images),
    ...(series === reference ? ["", "", "reference", ""] : [number(compared?.mean, 2), ends(compared?.interval, 2, compared?.open), compared?.text ?? "–", compared?.p === undefined ? "–" : compared.p < .001 ? "<0.001" : +compared.p.toFixed(3)])].slice(0, head.length - 1);
  const body = rows.map(row => `<tr><th scope="row">${escaped(row.series)}</th>${line(row).map(cell => `<td>${escaped(cell)}</td>`).join("")}</tr>`);
  return `<div class="table tall" tabindex="0" role="region" aria-label="The values drawn"><table><caption><span>The values drawn${rows[0]?.reference && isGraded ? `; differences from ${escaped(rows[0].reference)}, in points` : ""}.</span></caption><thead><tr>${head.map(cell => `<th scope="col">${escaped(cell)}</th>`).join("")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

function csv(at, rows) {
  const isGraded = at.view !== "curve", { factors, source } = at.set, name = isGraded ? at.view === "over" ? at.over : SEVERITY.name : "training images seen";
  const lines = rows.map(({ cell, tick, severity, n, mean, interval, images, reference, compared }) => ({
    source, study: at.study, ...Object.fromEntries(factors.map(key => [key, cell.at[key]])),
    view: at.view, measure: measureOf(at), statistics: isGraded ? at.statistics : "", severity, x_name: name, x: tick,
    n, runs: cell.runs, mean, ...pair("", interval), ...pair("images_", images),
    reference, difference: compared?.mean, ...pair("difference_", compared?.interval), grade: compared?.text, p: compared?.p, learning_rate: cell.lr, command: cell.command,
  }));
  const field = value => /[",\n]/.test(value ?? "") ? `"${String(value).replaceAll('"', '""')}"` : value ?? "";
  return [Object.keys(lines[0]), ...lines.map(Object.values)].map(line => line.map(field).join(",")).join("\n") + "\n";
}

// Return both ends of an interval for the CSV file; they are empty where there is no interval.
const pair = (name, ends) => ({ [`${name}low`]: ends ? ends[0] ?? "-inf" : "", [`${name}high`]: ends ? ends[1] ?? "inf" : "" });

function papers(at) {
  const rows = data.published.map(paper => {
    const found = at.set.shapes[paper.name], verdicts = found.map(each => each.verdict);
    const verdict = known("other", verdicts) === "other" ? "other" : verdicts.includes("same shape") ? "same shape" : "not measured";
    const counted = found.map(each => `${each.block ? `${each.block}: ` : ""}${each.agree} agree, ${each.differ} differ, ${each.undecided} undecided${each.points.length ? ` (${each.points.join("; ")})` : ""}`).join(". ");
    return `<tr><th scope="row">${escaped(paper.title)}</th><td>${verdict}</td>${[counted || "–", paper.setting, paper.source, paper.differs].map(cell => `<td class="prose">${escaped(cell)}</td>`).join("")}</tr>`;
  });
  return details(at, "Published numbers beside these runs", `<div class="table" tabindex="0" role="region" aria-label="Published numbers"><table class="papers"><thead><tr>${["published", "shape", "points", "setting", "source", "what differs"].map(cell => `<th scope="col">${cell}</th>`).join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`);
}

// An element that is open stays open when a choice draws the panel again.
function details(at, title, inner) {
  const id = `${at.set.source}-${title.split(" ")[0]}`;
  return `<details id="${id}"${document.getElementById(id)?.open ? " open" : ""}><summary><h3>${title}</h3></summary>${inner}</details>`;
}

const titleOf = study => data.sets.some(set => set.study === study && set.trials) ? `${study} (trials of learning rates)` : study;

// Return in words what is the same for all values of a panel.
function where(at, rows) {
  const settings = Object.entries(at.settings).filter(([key]) => at.view !== "over" || key !== at.over).map(([key, value]) => `${key}=${value}`).join(" ");
  const measured = at.view === "curve" ? ["validation accuracy"] : [`${at.statistics} statistics`, at.view === "over" && `contrast severity ${at.severity}`];
  const paper = publishedRows(at, rows).length && data.published.find(each => each.name === at.published);
  return [settings, ...measured, paper && `dashed: published, ${paper.title}`].filter(Boolean).join(", ");
}

// Return why a panel draws nothing; empty where it draws something.
function lack(at, rows) {
  if (rows.length) return "";
  const off = unchecked();
  return at.table?.series.every(series => off.includes(series)) ? `No ${said(at.by)} is checked.` : `No run has this: ${where(at, rows)}.`;
}

// Return the width of a drawing; on a wide screen two panels stand side by side.
function width() { return Math.max(280, Math.round(panels.clientWidth / (state.source === "both" && panels.clientWidth > 1120 ? 2 : 1)) - 20); }

function panel(at, rows) {
  const { set } = at, section = document.createElement("section"), none = lack(at, rows), noted = notes(at, rows).join("; ");
  section.className = "panel";
  const cells = [...new Set(rows.map(row => row.cell))];
  const commands = cells.map(cell => `<li>${escaped(Object.values(cell.at).join(", "))}: ${cell.runs} runs, learning rate ${cell.lr}${cell.note ? ` (${escaped(cell.note)})` : ""}<br><code>${escaped(cell.command)}</code></li>`);
  const drawn = none ? `<p class="none">${escaped(none)}</p>` : `<figure>${chart(at, rows, width())}</figure>
    <p><button type="button" data-file="svg">SVG</button> <button type="button" data-file="csv">CSV</button></p>${table(at, rows)}
    ${details(at, `Commands that make these ${cells.length} cells again`, `<ul>${commands.join("")}</ul>`)}`;
  const trained = Object.entries(set.setup).map(([name, words]) => `<tr><th scope="row">${name}</th><td class="prose">${escaped(words)}</td></tr>`);
  const warnings = Object.entries(set.setup).filter(([name, words]) => name === "mixed cells" || words.includes("Warning:")).map(([name, words]) => `<p>${escaped(`${name}: ${words}`)}.</p>`);
  section.innerHTML = `<h2>${escaped(set.source)}: ${escaped(titleOf(at.study))}</h2><p>${escaped(where(at, rows))}.${set.design === "planned" ? "" : " Seeds were added after a look."}${state.study === at.study ? "" : ` There is no study ${escaped(state.study)} here.`}</p>${noted && `<p class="noted">${escaped(noted)}.</p>`}${warnings.join("")}${drawn}${details(at, "What was trained", `<div class="table"><table><tbody>${trained.join("")}</tbody></table></div>`)}${papers(at)}`;
  section.redraw = () => { if (!none) section.querySelector("figure").innerHTML = chart(at, rows, width()); };
  section.querySelectorAll("button").forEach(button => button.addEventListener("click", () => {
    const kind = button.dataset.file;
    save(`${at.study}.${kind}`, kind === "svg" ? svgFile(at, rows, section.querySelector("figure svg")) : csv(at, rows), kind);
  }));
  return section;
}

// Return the SVG file: the drawing below a legend and words that say what is drawn.
function svgFile(at, rows, svg) {
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number), parts = [];
  let x = 10, y = 4;
  const place = (room, inner) => {
    if (x === 10 || x + room > width - 10) { x = 10; y += 18; }
    parts.push(`<g transform="translate(${x} ${y})" fill="currentColor">${inner}</g>`);
    x += room;
  };
  const wide = width / 7, lines = [""];
  for (const word of [`${at.set.source}: ${at.study}, ${where(at, rows)}`, ...notes(at, rows)].join("; ").split(" ")) {
    if (lines.at(-1).length + word.length > wide) lines.push("");
    lines.push(`${lines.pop()}${word} `);
  }
  for (const line of lines) place(width, `<text>${escaped(line.trim())}</text>`);
  x = 10;
  for (const series of new Set(rows.map(row => row.series)))
    place(45 + 7 * series.length, `<line x1="0" x2="24" y1="-4" y2="-4" stroke="${data.looks[series][0]}" stroke-width="1.6"/>${mark(series, 12, -4, 4)}<text x="30">${escaped(series)}</text>`);
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height + y + 10}" font-family="system-ui, sans-serif" font-size="12">${parts.join("")}<g transform="translate(0 ${y + 10})">${svg.innerHTML}</g></svg>`;
  return drawing.replaceAll("currentColor", "#1b1f24");
}

function save(name, text, kind) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: kind === "svg" ? "image/svg+xml" : "text/csv" }));
  link.download = name;
  link.click();
}

// A choice keeps its element, so that the keyboard stays where it is.
function choice(id, label, options, value) {
  const item = document.getElementById(`choose-${id}`) ?? Object.assign(document.createElement("label"), { id: `choose-${id}`, innerHTML: `<span></span><select data-key="${escaped(id)}"></select>` });
  item.firstChild.textContent = label;
  const select = item.lastChild, inner = options.map(([key, words]) => `<option value="${escaped(key)}">${escaped(words)}</option>`).join("");
  if (select.dataset.inner !== inner) { select.innerHTML = inner; select.dataset.inner = inner; }
  select.value = value;
  return item;
}

function show() {
  const names = Object.keys(data.sources), now = settled(), { panels: shown, view } = now;
  const plain = values => values.map(value => [value, value]), keys = values => values.map(value => [value, said(value)]);
  const views = [["severity", "contrast severity"], ...(now.over ? [["over", said(now.over)]] : []), ["curve", "training (validation)"]];
  const statistics = [...new Set(shown.flatMap(each => each.set.statistics))];
  const wanted = [
    names.length > 1 && choice("source", "runs", [["both", "side by side"], ...plain(names)], now.source),
    now.studies.length > 1 && choice("study", "study", now.studies.map(name => [name, titleOf(name)]), now.study),
    choice("view", "accuracy over", views, view),
    now.factors.length > 1 && choice("by", "compared", keys(now.factors), now.by),
    now.others.length > 1 && choice("over", "in tables by", keys(now.others), now.over),
    ...optionsOf(shown).map(([key, values]) => choice(key, said(key), plain(values), now.at[key])),
    view === "over" && choice("severity", "contrast severity", plain(SEVERITY.ticks), now.severity),
    view !== "curve" && statistics.length > 1 && choice("statistics", "test statistics", plain(statistics), now.statistics),
    now.fitting.length > 0 && choice("published", "published beside it", [["", "none"], ...now.fitting.map(each => [each.name, each.title])], now.published),
    series(shown),
  ].filter(Boolean);
  const focused = document.activeElement?.id || document.activeElement?.dataset?.key;
  if (wanted.length !== form.children.length || wanted.some((each, i) => each !== form.children[i])) {
    form.replaceChildren(...wanted);
    (document.getElementById(focused) ?? form.querySelector(`[data-key="${CSS.escape(focused ?? "")}"]`))?.focus();
  }
  const { source, study, by, over, at, severity, published } = now, off = unchecked();
  const kept = { source, study, view, by, over, ...at, severity, statistics: now.statistics, published, off: off.length ? JSON.stringify(off) : "" };
  state = Object.fromEntries(Object.entries(kept).filter(([, value]) => value));
  history.replaceState(null, "", `#${new URLSearchParams(state)}`);
  const rows = shown.map(rowsOf);
  panels.replaceChildren(...shown.map((each, i) => panel(each, rows[i])));
  document.getElementById("said").textContent = shown.map((each, i) => `${each.set.source}: ${each.study}, ${where(each, rows[i])}. ${lack(each, rows[i]) || `${rows[i].length} values are drawn.`}`).join(" ");
  document.getElementById("from").textContent = shown.map(each => data.sources[each.set.source]).filter(Boolean).join(". ");
}

// The names of the series, with the colour and marker that they are drawn in.
function series(shown) {
  const names = [...new Set(shown.flatMap(each => each.table?.series ?? []))], off = unchecked();
  const set = document.getElementById("series") ?? Object.assign(document.createElement("fieldset"), { id: "series" });
  const inner = `<legend>${escaped(said(shown[0].by))}</legend>` + names.map((name, i) => `<label><input type="checkbox" id="series-${i}" value="${escaped(name)}"><svg class="key" viewBox="0 0 26 16" aria-hidden="true"><line x1="1" x2="25" y1="8" y2="8" stroke="${data.looks[name][0]}" stroke-width="1.6"/>${mark(name, 13, 8, 4)}</svg>${escaped(name)}</label>`).join("");
  if (set.dataset.inner !== inner) { set.innerHTML = inner; set.dataset.inner = inner; }
  set.querySelectorAll("input").forEach(box => { box.checked = !off.includes(box.value); });
  return set;
}

form.addEventListener("change", ({ target }) => {
  if (target.dataset.key) { state[target.dataset.key] = target.value; state.changed = target.dataset.key; }
  else state.off = JSON.stringify([...form.querySelectorAll("#series input:not(:checked)")].map(box => box.value));
  show();
});
form.addEventListener("submit", event => event.preventDefault());
document.querySelector(".skip").addEventListener("click", event => { event.preventDefault(); panels.focus(); });
addEventListener("hashchange", () => { if (location.hash.includes("=")) { state = read(); show(); } });
addEventListener("resize", () => { for (const section of panels.children) section.redraw(); });
show();
