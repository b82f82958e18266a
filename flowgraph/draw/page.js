// The page around a picture: pan, zoom, search, details, paths, and blocks that fold. It reads the records
// in #data and writes text as text only. `state` is the number of the picture that is shown.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const { records, states } = JSON.parse($("data").textContent);
  const root = document.documentElement, stage = $("stage"), card = $("card"), find = $("find");
  const pages = states.map(() => null);
  let svg = null, state = 0, view = null, isFitted = true, picked = null, hits = [], hit = -1;

  const thing = (element) => {  // the item, wire or frame that an element belongs to
    const tied = element.closest?.("[data-id]");
    return tied?.classList.contains("label") ? byId(tied.dataset.id) : tied;
  };
  const byId = (id, within = svg) =>
    within.querySelector(`:is(.item, .wire, .frame)[data-id="${CSS.escape(id)}"]`);
  const record = (element) => records[element.dataset.r];
  const say = (text) => { $("said").textContent = text; };

  // -- what is seen: view.x, view.y is the point at the top left, view.k pixels make a point of the picture

  const size = () => { const { width, height } = svg.dataset; return { width: +width, height: +height }; };
  const apply = () => {
    const { clientWidth: w, clientHeight: h } = stage;
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${w / view.k} ${h / view.k}`);
  };
  const fit = () => {
    const { width, height } = size(), { clientWidth: w, clientHeight: h } = stage;
    const k = Math.min(w / width, h / height, 2.5) || 1;
    view = { x: (width - w / k) / 2, y: (height - h / k) / 2, k };
    isFitted = true;
    apply();
  };
  const move = (dx, dy) => { view.x -= dx / view.k; view.y -= dy / view.k; isFitted = false; apply(); };
  const zoom = (factor, px = stage.clientWidth / 2, py = stage.clientHeight / 2) => {
    const k = Math.min(Math.max(view.k * factor, 0.02), 40);
    view = { x: view.x + px / view.k - px / k, y: view.y + py / view.k - py / k, k };
    isFitted = false;
    apply();
  };
  const middle = (element) => {  // in points of the picture
    const box = (element.querySelector(".shape, .line") ?? element).getBBox();
    return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  };
  const centre = (element) => {
    const { x, y } = middle(element), k = Math.max(view.k, 1);
    view = { x: x - stage.clientWidth / k / 2, y: y - stage.clientHeight / k / 2, k };
    isFitted = false;
    apply();
  };

  // -- details

  const dodge = (element, event) => {  // the card never lies over what one points at
    const all = stage.getBoundingClientRect(), spot = element.getBoundingClientRect();
    const x = event?.clientX ?? spot.x + spot.width / 2, y = event?.clientY ?? spot.y + spot.height / 2;
    card.classList.toggle("left", x > all.x + all.width / 2);
    card.classList.toggle("high", y > all.y + all.height / 2);
  };
  const tell = (element, event = null) => {
    card.hidden = !element;
    if (!element) return;
    if (event?.type !== "pointerleave") dodge(element, event);
    const { title, kind, facts } = record(element);
    const heading = document.createElement("h2"), small = document.createElement("small");
    const list = document.createElement("dl");
    heading.textContent = title;
    small.textContent = kind;
    heading.append(small);
    for (const [key, text] of facts) {
      const dt = document.createElement("dt"), dd = document.createElement("dd");
      dt.textContent = key;
      dd.textContent = text;
      dd.className = key === "source" ? "source" : "";
      list.append(dt, dd);
    }
    card.replaceChildren(heading, list);
  };

  // -- paths

  const reached = (start, from, to) => {  // everything that wires lead to, in one direction
    const next = new Map(), found = new Set([start]), waiting = [start];
    for (const { dataset } of svg.querySelectorAll(".wire")) {
      if (!next.has(dataset[from])) next.set(dataset[from], []);
      next.get(dataset[from]).push(dataset[to]);
    }
    while (waiting.length) {
      for (const id of next.get(waiting.pop()) ?? []) {
        if (!found.has(id)) { found.add(id); waiting.push(id); }
      }
    }
    return found;
  };
  const clear = () => {
    svg.classList.remove("traced");
    svg.querySelectorAll(".on").forEach((e) => { e.classList.remove("on"); e.removeAttribute("aria-pressed"); });
    picked = null;
  };
  const trace = (element) => {
    clear();
    const { id, from, to } = element.dataset;
    const before = reached(from ?? id, "to", "from"), after = reached(to ?? id, "from", "to");
    for (const e of svg.querySelectorAll(".item")) {
      e.classList.toggle("on", before.has(e.dataset.id) || after.has(e.dataset.id));
    }
    for (const e of svg.querySelectorAll(".wire")) {
      const isOn = e === element || before.has(e.dataset.to) || after.has(e.dataset.from);
      e.classList.toggle("on", isOn);
      svg.querySelector(`.label[data-id="${CSS.escape(e.dataset.id)}"]`)?.classList.toggle("on", isOn);
    }
    svg.classList.add("traced");
    if (!from) element.setAttribute("aria-pressed", "true");
    picked = element;
    tell(element);
    say(`The path through ${record(element).title}: ${svg.querySelectorAll(".item.on").length} items.`);
  };

  // -- folding

  const taken = (parent) => {  // a picture; without its title, which would pop up wherever one points
    const found = parent.querySelector("svg");
    found.querySelector("title").remove();
    return found;
  };
  const page = (number) => {
    pages[number] ??= taken(document.querySelector(`template[data-state="${number}"]`).content);
    return pages[number];
  };
  const show = (number, anchor = null) => {
    const old = anchor && byId(anchor), was = old && middle(old);
    clear();
    mark([]);
    tell(null);
    state = number;
    svg = page(number);
    stage.replaceChildren(svg);
    const now = anchor && byId(anchor);
    if (was && now && !isFitted) {
      const { x, y } = middle(now);
      view.x += x - was.x;
      view.y += y - was.y;
      apply();
    } else fit();
    $("remarks").replaceChildren(...states[number].remarks.map((text) => {
      const p = document.createElement("p");
      p.textContent = text;
      return p;
    }));
  };
  const nearest = (id, isOpen) => {  // the picture with a block as wanted that differs least from this one
    const here = new Set(states[state].open);
    let best = null, least = Infinity;
    states.forEach(({ open }, number) => {
      if (open.includes(id) !== isOpen) return;
      const differs = here.size + open.length - 2 * open.filter((each) => here.has(each)).length;
      if (differs < least) { least = differs; best = number; }
    });
    return best;
  };
  const toggle = (element, isFocused) => {
    const { id } = element.dataset, isOpen = element.classList.contains("frame");
    const number = nearest(id, !isOpen), title = record(element).title;
    if (number === null) return;
    const others = states[state].open.filter((each) => each !== id && !states[number].open.includes(each)).length;
    show(number, id);
    if (isFocused) byId(id)?.focus({ preventScroll: true });
    say(`${title} ${isOpen ? "folded" : "unfolded"}${others && !isOpen ? "; others folded" : ""}.`);
  };
  const most = (sign) => {
    let best = 0;
    states.forEach(({ open }, n) => { if (sign * open.length > sign * states[best].open.length) best = n; });
    show(best);
    say(sign > 0 ? "Unfolded." : "Folded.");
  };
  const act = (element, isFocused = false) => {
    if (element.hasAttribute("aria-expanded")) toggle(element, isFocused);
    else if (!element.classList.contains("frame")) trace(element);
  };

  // -- search

  const mark = (elements) => {
    svg.querySelectorAll(".hit").forEach((e) => e.classList.remove("hit"));
    hits = elements;
    hit = -1;
    hits.forEach((e) => e.classList.add("hit"));
    $("hits").textContent = "";
  };
  const matches = (words, within) => {  // wires only where nothing else has these words
    const of = (kind) => [...within.querySelectorAll(kind)].filter((e) => record(e).words.includes(words));
    const found = of(".item, .frame");
    return found.length ? found : of(".wire");
  };
  const search = () => {
    const words = find.value.trim().toLowerCase();
    mark([]);
    if (!words) return;
    let found = matches(words, svg);
    if (!found.length) {
      const number = states.findIndex((_, n) => matches(words, page(n)).length);
      if (number >= 0) { show(number); found = matches(words, svg); }
    }
    mark(found);
    step();
  };
  const step = () => {
    if (hits.length) {
      hit = (hit + 1) % hits.length;
      centre(hits[hit]);
      tell(hits[hit]);
    }
    $("hits").textContent = hits.length ? `${hit + 1} of ${hits.length}` : "none";
  };

  // -- pointers: one drags, two pinch, and one that did not move clicks

  const down = new Map();
  let travelled = 0, isDragging = false;
  const place = (event) => {
    const { left, top } = stage.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    down.set(event.pointerId, place(event));
    travelled = 0;
    isDragging = event.pointerType !== "mouse" || !event.target.closest("text");  // a mouse selects text
  });
  stage.addEventListener("pointermove", (event) => {
    const old = down.get(event.pointerId), now = place(event);
    if (!old || !isDragging) return;
    travelled += Math.hypot(now.x - old.x, now.y - old.y);
    if (travelled < 4) return;
    stage.classList.add("moving");
    if (!stage.hasPointerCapture(event.pointerId)) stage.setPointerCapture(event.pointerId);
    if (down.size === 2) {
      const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const before = Math.hypot(old.x - other.x, old.y - other.y) || 1;
      zoom(Math.hypot(now.x - other.x, now.y - other.y) / before, other.x, other.y);
    } else move(now.x - old.x, now.y - old.y);
    down.set(event.pointerId, now);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    window.addEventListener(kind, (event) => { down.delete(event.pointerId); stage.classList.remove("moving"); });
  }
  stage.addEventListener("click", (event) => {
    if (travelled >= 4 || String(getSelection()).trim()) return;
    const element = thing(event.target);
    if (element && element !== picked) act(element);
    else { clear(); tell(null); }
  });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { x, y } = place(event), lines = event.deltaMode === 1 ? 16 : 1;
    zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)), x, y);
  }, { passive: false });
  stage.addEventListener("pointerover", (event) => tell(thing(event.target) ?? picked, event));
  stage.addEventListener("pointerleave", (event) => tell(picked, event));
  stage.addEventListener("focusin", (event) => tell(thing(event.target) ?? picked));

  // -- the bar and the keyboard

  const theme = () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
  };
  const commands = {
    in: () => zoom(1.3), out: () => zoom(1 / 1.3), fit, fold: () => most(-1), unfold: () => most(1), theme,
  };
  for (const button of document.querySelectorAll("#bar button")) {
    button.addEventListener("click", commands[button.dataset.does]);
  }
  find.addEventListener("input", search);
  find.addEventListener("keydown", (event) => { if (event.key === "Enter") step(); });
  const keys = {
    "+": commands.in, "=": commands.in, "-": commands.out, 0: fit, f: fit, t: theme,
    "[": commands.fold, "]": commands.unfold, "/": () => find.focus(),
    ArrowLeft: () => move(60, 0), ArrowRight: () => move(-60, 0), ArrowUp: () => move(0, 60), ArrowDown: () => move(0, -60),
    Escape: () => { find.value = ""; find.blur(); mark([]); clear(); tell(null); },
  };
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target === find, focused = stage.contains(event.target) && thing(event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || (isTyping && event.key !== "Escape")) return;
    if (focused && (event.key === "Enter" || event.key === " ")) act(focused, true);
    else if (focused && event.key === "p") trace(focused);
    else if (keys[event.key]) keys[event.key]();
    else return;
    event.preventDefault();
  });

  // -- beginning

  const whole = () => { const { width, height } = size(); svg.setAttribute("viewBox", `0 0 ${width} ${height}`); };
  addEventListener("beforeprint", whole);
  addEventListener("afterprint", apply);
  addEventListener("resize", () => (isFitted ? fit() : apply()));
  svg = pages[0] = taken(stage);
  root.classList.replace("plain", "live");
  fit();
})();
