// What the page does beside Bokeh's figures: names what is under the pointer, picks networks, walks by keyboard, sorts.
// Text of a study only ever becomes text of an element, never HTML.
"use strict";
(() => {
  const MOST_TRACKS = 12; // networks whose profile is drawn as a line
  const MOST_NAMES = 10; // networks whose names stand at their points
  const ROWS = 50; // of a page of the table of layers
  const MOVED = 4; // pixels between press and release of a drag, and not a click
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const element = (id) => document.getElementById(id);
  const scores = [...facts.regions, ...facts.measures];
  const state = { picks: [], cursor: -1, measure: facts.measures[0], region: facts.region, brushed: false };
  let layers, networks, cursor, networkCursor, tracks, names, figures, starts, withNeuroids;

  function make(name, text = "", properties = {}) {
    const node = document.createElement(name);
    if (text !== "") node.textContent = text;
    return Object.assign(node, properties);
  }

  const number = (value, digits = 3) => (Number.isFinite(value) ? value.toFixed(digits).replace("-", "−") : "–");
  const whole = (value) => value.toLocaleString("en");
  const range = (start, end) => Array.from({ length: end - start }, (_, i) => start + i);

  // --- start ------------------------------------------------------------------------------------------------------

  function whenDrawn(then) {
    const ready = () => globalThis.Bokeh?.documents.length && Bokeh.documents[0].is_idle;
    const wait = () => (ready() ? then(Bokeh.documents[0]) : requestAnimationFrame(wait));
    wait();
  }

  function start(page) {
    const source = (name) => page.get_model_by_name(name);
    [layers, networks, cursor, networkCursor, tracks, names] =
      ["layers", "networks", "cursor", "network cursor", "tracks", "network names"].map(source);
    starts = firstLayers(layers.data._network);
    withNeuroids = scores.map((name) => `${name}_neuroid_error`).filter((name) => name in layers.data);
    figures = [...document.querySelectorAll("figure.panel")].map((node) => new Panel(node));
    fillLegend();
    fillTitles();
    layers.inspect.connect(([renderer]) => hover(renderer, layers));
    networks?.inspect.connect(([renderer]) => hover(renderer, networks));
    layers.selected.properties.indices.change.connect(selectionChanged);
    listen();
    setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    layerTable.fill();
    if (facts.alone && facts.networks.length <= facts.colours.length) {
      state.picks = facts.networks.map((name) => ({ kind: "network", name })); // so that lines have a colour and a name
      state.unasked = true;
      applyPicks();
    }
    element("legend").open = !matchMedia("(max-width: 60rem)").matches;
    document.documentElement.dataset.ready = "yes";
  }

  /** The first layer of each network, and at the end the number of layers: a network's layers lie together. */
  function firstLayers(network) {
    const found = facts.networks.map(() => -1);
    for (let i = network.length - 1; i >= 0; i--) found[network[i]] = i;
    return [...found, network.length];
  }

  const layersOf = (network) => range(starts[network], starts[network + 1]);

  // --- panels -----------------------------------------------------------------------------------------------------

  class Panel {
    constructor(node) {
      this.node = node;
      const id = node.querySelector("[data-root-id]").dataset.rootId;
      this.figure = Bokeh.documents[0].get_model_by_id(id);
      this.points = this.renderer("points");
      this.ring = this.renderer("ring");
      this.line = this.renderer("line");
      this.names = this.renderer("names");
      this.ofLayers = this.points.data_source === layers;
    }

    renderer(name) {
      return this.figure.renderers.find((one) => one.name === name);
    }

    get view() {
      return Bokeh.index.find_one(this.figure);
    }

    /** Draw other columns; what is drawn already is left, since each change indexes all points anew. */
    show(x, y) {
      const { points, ring, line } = this;
      if (points.glyph.x.field === x && points.glyph.y.field === y) return;
      for (const glyph of [points.glyph, points.selection_glyph, points.nonselection_glyph, ring.glyph])
        glyph.setv({ x: { field: x }, y: { field: y } });
      this.names?.glyph.setv({ x: { field: x }, y: { field: y }, text_align: { field: `_align ${x}` }, x_offset: { field: `_offset ${x}` } });
      line?.glyph.setv({ x: { field: `${x} ${y} x` }, y: { field: `${x} ${y} y` } });
    }

    label(x, y) {
      const [below, left] = [this.figure.below[0], this.figure.left[0]];
      below.axis_label.text = x;
      left.axis_label.text = y;
    }
  }

  function fillTitles() {
    const known = (low, high) => Number.isFinite(low) && Number.isFinite(high);
    const ends = (low, high) => `${number(low, 2)} to ${number(high, 2)}`;
    const wide = (row) => (known(row.wide_low, row.wide_high) ? `; with neuroids ${ends(row.wide_low, row.wide_high)}` : "");
    const interval = (row) => (known(row.low, row.high) ? ` (${100 * (row.level ?? 0.95)} %: ${ends(row.low, row.high)}${wide(row)})` : "");
    for (const panel of figures) {
      const { region, figure, depth } = panel.node.dataset;
      const title = panel.node.querySelector(".rho");
      if (figure) fillNetworkFigure(panel, figure, title, interval);
      else if (depth) panel.label("relative depth", nameScore(depth));
      else if (region) {
        const row = facts.correlations.find((one) => one.region === region && one.measure === state.measure);
        panel.show(state.measure, region);
        panel.label(nameScore(state.measure), nameScore(region));
        title.textContent = row ? `ρ = ${number(row.rho, 2)}${interval(row)}, ${whole(row.n_layers)} layers` : "not correlated";
      } else {
        const shown = element("shown").value;
        panel.show("_relative", shown);
        panel.label("relative depth", shown);
      }
    }
  }

  const nameScore = (name) =>
    facts.regions.includes(name) ? `${name} similarity (${facts.kinds[name] ?? "r"})` : `${name} (Spearman's ρ of predictions)`;

  function fillNetworkFigure(panel, figure, title, interval) {
    const row = facts.relations.find((one) => one.figure === figure && [state.region, ""].includes(one.region));
    if (!row) return;
    panel.show(row.x, row.y);
    panel.label(facts.labels[row.x], facts.labels[row.y]);
    const told = Number.isFinite(row.rho) ? `ρ = ${number(row.rho, 2)}${interval(row)}` : "no ρ is defined";
    title.textContent = `${told}, ${row.networks} networks`;
  }

  // --- the layer under the pointer ----------------------------------------------------------------------------------

  let pointer = { clientX: 0, clientY: 0 };
  let keyed = false; // whether a key moved the cursor last, and not the pointer

  /** Bokeh's index of points gives the few that are near; of these the nearest on the screen counts. */
  function hover(renderer, source) {
    const panel = figures.find((one) => one.points === renderer);
    if (keyed || !panel || !isInside(panel.node, pointer)) return; // Bokeh looks again whenever something is drawn
    if (source.inspected.indices.length) point(panel, source.inspected.indices);
    else element("tip").hidden = true;
  }

  function point(panel, indices) {
    const index = nearest(panel, indices);
    if (panel.ofLayers) pointAtLayer(index, panel);
    else pointAtNetwork(index, panel);
  }

  function isInside(node, { clientX, clientY }) {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    return left <= clientX && clientX <= right && top <= clientY && clientY <= bottom;
  }

  function nearest(panel, indices) {
    const { glyph, data_source: source } = panel.points;
    const [xs, ys] = [source.data[glyph.x.field], source.data[glyph.y.field]];
    const { x_scale, y_scale } = panel.view.frame;
    const box = panel.view.canvas_view.el.getBoundingClientRect();
    const [px, py] = [pointer.clientX - box.left, pointer.clientY - box.top];
    const away = (i) => (x_scale.compute(xs[i]) - px) ** 2 + (y_scale.compute(ys[i]) - py) ** 2;
    return indices.reduce((best, i) => (away(i) < away(best) ? i : best));
  }

  function row(source, index) {
    return Object.fromEntries(Object.entries(source.data).map(([name, values]) => [name, [values[index]]]));
  }

  function pointAtLayer(index, panel) {
    const moved = state.cursor !== index;
    state.cursor = index;
    const { data } = layers;
    if (moved) {
      cursor.data = Object.fromEntries(Object.keys(cursor.data).map((name) => [name, [data[name][index]]]));
      fillCard(index);
    }
    if (panel) placeTip(panel, facts.networks[data._network[index]], [facts.layers[index], pairOf(panel, layers, index)]);
  }

  function pointAtNetwork(index, panel) {
    state.network = index;
    networkCursor.data = row(networks, index);
    placeTip(panel, facts.networks[index], [facts.families[index], pairOf(panel, networks, index)]);
  }

  function pairOf(panel, source, index) {
    const { x, y } = panel.points.glyph;
    const named = (field) => (field === "_relative" ? "relative depth" : panel.ofLayers ? field : (facts.labels[field] ?? field));
    return `${named(x.field)} ${number(source.data[x.field][index])}, ${named(y.field)} ${number(source.data[y.field][index])}`;
  }

  function placeTip(panel, title, lines) {
    const tip = element("tip");
    tip.replaceChildren(make("b", title), ...lines.map((line) => make("div", line)));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = pointer.clientX + 14 + width > innerWidth ? pointer.clientX - width - 14 : pointer.clientX + 14;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, Math.min(pointer.clientY + 14, innerHeight - height - 4))}px`;
  }

  function fillCard(index) {
    const { data } = layers;
    const network = data._network[index];
    const list = make("dl");
    const add = (name, value) => list.append(make("dt", name), make("dd", value));
    add("layer", facts.layers[index]);
    add("family", facts.families[network]);
    add("class", facts.classes[data._class[index]]);
    add("units", `${whole(data._units[index])} (${facts.shapes[data._shape[index]].replaceAll("x", " × ")})`);
    add("depth", `${data._depth[index]} of ${starts[network + 1] - starts[network]}`);
    for (const name of scores) {
      const error = data[`${name}_error`]?.[index];
      const drawn = data[`${name}_neuroid_error`]?.[index];
      add(name, number(data[name][index]) + (Number.isFinite(error) ? ` ± ${number(error)}` : "") + (Number.isFinite(drawn) ? ` (${number(drawn)})` : ""));
    }
    const told = `± standard error over splits${withNeuroids.length ? " (over samples of neuroids)" : ""}`;
    element("card").replaceChildren(make("h3", facts.networks[network]), list, make("small", told, { className: "count" }));
  }

  // --- picks --------------------------------------------------------------------------------------------------------

  const members = (pick) =>
    range(0, facts.networks.length).filter((i) => (pick.kind === "family" ? facts.families[i] : facts.networks[i]) === pick.name);

  function toggle(kind, name) {
    state.unasked = false;
    const there = state.picks.findIndex((one) => one.kind === kind && one.name === name);
    if (there >= 0) state.picks.splice(there, 1);
    else if (state.picks.push({ kind, name }) > facts.colours.length) state.picks.shift();
    applyPicks();
  }

  function applyPicks() {
    state.brushed = false;
    const chosen = [];
    const picked = [];
    layers.data._pick.fill(0);
    networks?.data._pick.fill(0);
    state.picks.forEach((pick, number) => {
      for (const network of members(pick)) {
        if (networks) networks.data._pick[network] = number + 1;
        picked.push(network);
        layers.data._pick.fill(number + 1, starts[network], starts[network + 1]);
        for (const index of layersOf(network)) chosen.push(index);
      }
    });
    select(layers, chosen);
    if (networks) select(networks, picked);
    showPicks([...new Set(picked)], new Set(chosen).size);
  }

  /** Set a selection that is ours; colours are read when the source changes. */
  function select(source, indices) {
    source.change.emit();
    source.selected.indices = indices;
  }

  function showPicks(picked, count) {
    element("picks").replaceChildren(...state.picks.map(chip));
    element("picked").textContent = count ? `${whole(count)} layers of ${picked.length} network${picked.length === 1 ? "" : "s"} picked` : "";
    element("clear").disabled = !count;
    for (const button of document.querySelectorAll("#families [data-kind]")) {
      const place = state.picks.findIndex((pick) => pick.kind === button.dataset.kind && pick.name === button.dataset.name);
      button.setAttribute("aria-pressed", String(place >= 0));
      button.style.setProperty("--colour", facts.colours[place] ?? "");
    }
    drawTracks(picked.slice(0, MOST_TRACKS));
    nameNetworks(picked.slice(0, MOST_NAMES));
    layerTable.fill();
  }

  /** What is picked, in its colour: a button that takes it back. */
  function chip({ kind, name }, place) {
    const button = make("button", name, { type: "button", className: "chip", onclick: () => toggle(kind, name) });
    button.style.setProperty("--colour", facts.colours[place]);
    button.setAttribute("aria-label", `take back ${name}`);
    const item = make("li");
    item.append(button);
    return item;
  }

  function drawTracks(picked) {
    const shown = element("shown")?.value;
    const ofPicked = (name) => picked.map((network) => Array.from(layers.data[name].slice(starts[network], starts[network + 1])));
    const scored = Object.keys(tracks.data).filter((column) => column.startsWith("y"));
    const colour = (network) => facts.colours[layers.data._pick[starts[network]] - 1];
    tracks.data = {
      x: ofPicked("_relative"),
      colour: picked.map(colour),
      ...Object.fromEntries(scored.map((column) => [column, ofPicked(column === "y" ? shown : column.slice(2))])),
    };
  }

  function nameNetworks(picked) {
    if (!networks) return; // the study has no figure of them
    const columns = Object.keys(networks.data);
    const data = Object.fromEntries(columns.map((name) => [name, picked.map((network) => networks.data[name][network])]));
    for (const { x } of facts.relations) Object.assign(data, sidesOf(x, picked));
    names.data = { ...data, _name: picked.map((network) => facts.networks[network]) };
  }

  /** Names stand right of their points, but left of those that are far on the right, or the panel would cut them off. */
  function sidesOf(x, picked) {
    const known = networks.data[x].filter(Number.isFinite);
    const [least, most] = [Math.min(...known), Math.max(...known)];
    const left = picked.map((network) => networks.data[x][network] > least + 0.7 * (most - least));
    return { [`_align ${x}`]: left.map((one) => (one ? "right" : "left")), [`_offset ${x}`]: left.map((one) => (one ? -8 : 8)) };
  }

  function selectionChanged() {
    const { indices } = layers.selected;
    const own = state.picks.length && indices.every((i) => layers.data._pick[i] > 0) && indices.length >= pickedCount();
    if (own || (!indices.length && !state.brushed)) return;
    brush(indices);
  }

  const pickedCount = () => layers.data._pick.reduce((sum, one) => sum + (one > 0), 0);

  function brush(indices) {
    state.brushed = indices.length > 0;
    const among = new Set(indices.map((i) => layers.data._network[i]));
    const number = whole(indices.length);
    element("picked").textContent = state.brushed ? `${number} layers of ${among.size} networks selected` : "";
    element("clear").disabled = !state.brushed && !state.picks.length;
    layerTable.fill();
  }

  function clear() {
    state.picks = [];
    applyPicks();
    cursor.data = Object.fromEntries(Object.keys(cursor.data).map((name) => [name, []]));
    element("card").replaceChildren();
    element("tip").hidden = true;
    state.cursor = -1;
  }

  function fillLegend() {
    const options = document.createDocumentFragment();
    const list = document.createDocumentFragment();
    for (const family of [...new Set(facts.families)]) {
      const inside = members({ kind: "family", name: family });
      const item = make("li");
      const names = make("ul", "", { hidden: true });
      names.append(...inside.map((i) => legendItem("network", facts.networks[i], facts.networks[i])));
      const more = make("button", "+", { type: "button", className: "more" });
      more.setAttribute("aria-expanded", "false");
      more.setAttribute("aria-label", `networks of ${family}`);
      more.onclick = () => {
        names.hidden = !names.hidden;
        more.textContent = names.hidden ? "+" : "−";
        more.setAttribute("aria-expanded", String(!names.hidden));
      };
      const head = make("div", "", { className: "family" });
      head.append(more, pickButton("family", family, `${family} (${inside.length})`));
      item.append(head, names);
      list.append(item);
      options.append(make("option", "", { value: family }));
    }
    for (const name of facts.networks) options.append(make("option", "", { value: name }));
    element("families").append(list);
    element("names").append(options);
  }

  function legendItem(kind, name, text) {
    const item = make("li");
    item.append(pickButton(kind, name, text));
    return item;
  }

  function pickButton(kind, name, text) {
    const button = make("button", text, { type: "button" });
    Object.assign(button.dataset, { kind, name });
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => toggle(kind, name);
    return button;
  }

  function search(event) {
    event.preventDefault();
    const wanted = element("wanted").value.trim().toLowerCase();
    if (!wanted) return;
    const find = (names, test) => names.find((name) => test(name.toLowerCase()));
    for (const test of [(name) => name === wanted, (name) => name.startsWith(wanted), (name) => name.includes(wanted)]) {
      const network = find(facts.networks, test);
      const family = find(facts.families, test);
      if (network || family) {
        element("wanted").value = "";
        if (state.unasked) state.picks = []; // what is searched is to be picked, and not taken back
        toggle(network ? "network" : "family", network ?? family);
        return;
      }
    }
    element("picked").textContent = `No network or family is called ${wanted}`;
  }

  // --- keyboard and pointer -----------------------------------------------------------------------------------------

  const STEPS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Home: [-Infinity, 0], End: [Infinity, 0] };

  function press(event, panel) {
    if (event.target !== panel.node) return;
    if (event.key === "Enter") pickAtCursor(panel);
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    keyed = true;
    if (panel.ofLayers) pointAtLayer(stepLayer(...step));
    else stepNetwork(panel, step[0] || step[1]);
  }

  function stepLayer(along, across) {
    if (state.cursor < 0) return 0;
    const count = facts.networks.length;
    const network = (layers.data._network[state.cursor] + across + count) % count;
    const [first, last] = [starts[network], starts[network + 1] - 1];
    const from = across ? first : state.cursor + along;
    return Math.min(Math.max(from, first), last);
  }

  function stepNetwork(panel, step) {
    const count = facts.networks.length;
    const box = panel.node.getBoundingClientRect();
    pointer = { clientX: box.left + box.width / 3, clientY: box.top + 40 };
    pointAtNetwork(Math.min(Math.max((state.network ?? -step) + step, 0), count - 1), panel);
  }

  function pickAtCursor(panel) {
    const network = panel.ofLayers ? layers.data._network[state.cursor] : state.network;
    if (network !== undefined) toggle("network", facts.networks[network]);
  }

  /** Pick what is under the pointer. A finger points at it first, and picks when it comes again. */
  function click(event, panel) {
    const before = panel.ofLayers ? state.cursor : state.network;
    if (event.pointerType === "touch") {
      element("tip").hidden = true;
      touch(event, panel);
      if (before !== (panel.ofLayers ? state.cursor : state.network)) return;
    }
    if (!element("tip").hidden) pickAtCursor(panel);
  }

  /** Point at what a finger is on: Bokeh tells of a mouse alone. */
  function touch(event, panel) {
    const box = panel.view.canvas_view.el.getBoundingClientRect();
    const [sx, sy] = [event.clientX - box.left, event.clientY - box.top];
    const hit = panel.view.views.find_one(panel.points).hit_test({ type: "point", sx, sy });
    [pointer, keyed] = [event, false];
    if (hit?.indices.length) point(panel, hit.indices);
  }

  function listen() {
    let pressed = pointer;
    const moved = (event) => ((pointer = event), (keyed = false));
    document.addEventListener("pointermove", moved, { capture: true, passive: true });
    document.addEventListener("pointerdown", (event) => (pressed = pointer = event), { capture: true, passive: true });
    for (const panel of figures) {
      panel.node.addEventListener("keydown", (event) => press(event, panel));
      panel.node.addEventListener("pointerleave", () => (element("tip").hidden = true));
      panel.node.addEventListener("click", (event) => {
        const still = Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) < MOVED;
        if (still && event.composedPath().includes(panel.view.canvas_view.el)) click(event, panel);
      });
      if (matchMedia("(pointer: coarse)").matches) panel.figure.toolbar.active_drag = null; // a finger scrolls
    }
    document.addEventListener("keydown", (event) => event.key === "Escape" && clear());
    element("search").onsubmit = search;
    element("clear").onclick = clear;
    element("theme").onclick = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
    onChange("shown", () => (fillTitles(), drawTracks([...new Set(state.picks.flatMap(members))].slice(0, MOST_TRACKS))));
    onChange("measure", (value) => ((state.measure = value), fillTitles()));
    onChange("region", (value) => ((state.region = value), fillTitles()));
  }

  function onChange(id, then) {
    element(id)?.addEventListener("change", (event) => then(event.target.value));
  }

  // --- theme --------------------------------------------------------------------------------------------------------

  const THEMES = {
    light: { text: "#1b1f24", quiet: "#57606a", grid: "#e3e7eb", point: "#3b6fb6", faint: "#8a8f98" },
    dark: { text: "#e8eaed", quiet: "#a8b0ba", grid: "#2c333b", point: "#7fb0f5", faint: "#7b8491" },
  };

  function setTheme(name) {
    document.documentElement.dataset.theme = name;
    const colours = THEMES[name];
    for (const { figure, points, ring, line, names: named } of figures) {
      for (const axis of [...figure.below, ...figure.left])
        axis.setv({ axis_label_text_color: colours.text, major_label_text_color: colours.quiet, major_tick_line_color: colours.quiet, axis_line_color: colours.quiet });
      for (const grid of figure.center.filter((one) => "grid_line_color" in one.attributes)) grid.grid_line_color = colours.grid;
      points.glyph.fill_color = { value: colours.point };
      points.nonselection_glyph.fill_color = { value: colours.faint };
      ring.glyph.line_color = { value: colours.text };
      if (line) line.glyph.line_color = { value: colours.text };
      if (named) named.glyph.text_color = { value: colours.text };
    }
  }

  // --- tables -------------------------------------------------------------------------------------------------------

  const collator = new Intl.Collator("en", { numeric: true });

  /** Compare two values: numbers by size, text as people sort it, what is missing last whichever way. */
  function compare(one, two, sign) {
    const [no, none] = [one, two].map((value) => value === "" || Number.isNaN(value));
    if (no || none) return no - none;
    return sign * (typeof one === "number" ? one - two : collator.compare(one, two));
  }

  function turn(head) {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.children) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    return down ? -1 : 1;
  }

  function sortable(table) {
    const [body] = table.tBodies;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.firstElementChild.onclick = () => {
        const sign = turn(head);
        const value = ({ cells }) => (cells[column].dataset.number === undefined ? cells[column].textContent : parseFloat(cells[column].dataset.number || "NaN"));
        const keyed = [...body.rows].map((row) => [value(row), row]);
        body.append(...keyed.sort((one, two) => compare(one[0], two[0], sign)).map(([, row]) => row));
      };
    });
  }

  const layerTable = {
    page: 0,
    order: null,
    columns: () => [
      ["network", (i) => facts.networks[layers.data._network[i]]],
      ["layer", (i) => facts.layers[i]],
      ["class", (i) => facts.classes[layers.data._class[i]]],
      ["units", (i) => layers.data._units[i]],
      ["depth", (i) => layers.data._depth[i]],
      ...[...scores, ...withNeuroids].map((name) => [name, (i) => layers.data[name][i]]),
    ],

    fill() {
      const chosen = layers.selected.indices;
      this.rows = chosen.length ? [...new Set(chosen)] : range(0, facts.layers.length);
      this.page = 0;
      if (!element("layer-table").tHead.rows.length) this.head();
      this.sort();
    },

    head() {
      const row = make("tr");
      for (const [name, value] of this.columns()) {
        const head = make("th", "", { scope: "col", className: typeof value(0) === "number" ? "number" : "" });
        head.setAttribute("aria-sort", "none");
        const button = make("button", name, { type: "button" });
        button.onclick = () => ((this.order = [value, turn(head)]), this.sort());
        head.append(button);
        row.append(head);
      }
      element("layer-table").tHead.append(row);
      element("earlier").onclick = () => (this.page--, this.draw());
      element("later").onclick = () => (this.page++, this.draw());
      element("save").onclick = () => this.save();
    },

    sort() {
      if (this.order) {
        const [value, sign] = this.order;
        const keyed = this.rows.map((i) => [value(i), i]);
        this.rows = keyed.sort((one, two) => compare(one[0], two[0], sign)).map(([, i]) => i);
      }
      this.draw();
    },

    draw() {
      const first = this.page * ROWS;
      const shown = this.rows.slice(first, first + ROWS);
      const columns = this.columns();
      element("layer-table").tBodies[0].replaceChildren(...shown.map((i) => this.row(columns, i)));
      const all = this.rows.length === facts.layers.length;
      element("layer-count").textContent = `${whole(this.rows.length)} ${all ? "rows: all layers" : "rows: those that are picked or selected"}`;
      element("page").textContent = `${first + 1}–${first + shown.length}`;
      element("earlier").disabled = !this.page;
      element("later").disabled = first + ROWS >= this.rows.length;
    },

    row(columns, i) {
      const row = make("tr");
      for (const [, value] of columns) {
        const cell = value(i);
        const isNumber = typeof cell === "number";
        const node = make("td", isNumber ? (Number.isInteger(cell) ? whole(cell) : number(cell)) : cell);
        if (isNumber) node.dataset.number = cell;
        row.append(node);
      }
      return row;
    },

    save() {
      const quoted = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
      const columns = this.columns();
      const lines = [columns.map(([name]) => name), ...this.rows.map((i) => columns.map(([, value]) => quoted(value(i))))];
      const link = make("a", "", { download: "layers.csv", href: URL.createObjectURL(new Blob([lines.map((line) => line.join(",")).join("\n")], { type: "text/csv" })) });
      link.click();
      URL.revokeObjectURL(link.href);
    },
  };

  document.querySelectorAll("table.sortable").forEach(sortable);
  whenDrawn(start);
})();
