// SPDX-License-Identifier: MIT
// Charts of the last hour, in SVG. A step without a value is a gap, not a zero. Each line has a form
// of its own (an area, a thick line, a dashed one), is named with its present value, and the pointer
// or the arrow keys read any step.

import { element, formatCount, formatCpu, formatSize, formatTime, setText } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 150;
const MARGIN = { top: 8, right: 8, bottom: 20, left: 56 };
const STEPS = 360;

function svg(name, attributes = {}, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// The next number at or above that is round, and whose half is.
function roundUp(value, binary) {
  if (binary) return 2 ** Math.ceil(Math.log2(value));
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 4, 6, 8]) if (value <= step * power) return step * power;
  return 10 * power;
}

const CHARTS = [
  {
    id: 'cpu', title: 'CPUs', format: formatCpu, binary: false, least: 1000,
    lines: [
      { name: 'limit', form: 'limit', values: (h, r) => r?.cpu?.effective_limit },
      { name: 'sold', form: 'area', values: (h) => h.sold.cpu },
      { name: 'used', form: 'line', values: (h) => h.used.cpu },
    ],
  },
  {
    id: 'memory', title: 'Memory', format: formatSize, binary: true, least: 1 << 20,
    lines: [
      { name: 'limit', form: 'limit', values: (h, r) => r?.memory?.effective_limit },
      { name: 'sold', form: 'area', values: (h) => h.sold.memory },
      { name: 'used', form: 'line', values: (h) => h.used.memory },
    ],
  },
  {
    id: 'queue', title: 'VMs and queue', format: formatCount, binary: false, least: 4,
    lines: [
      { name: 'VMs', form: 'area', values: (h) => h.vms },
      { name: 'waiting', form: 'line', values: (h) => h.waiting },
    ],
  },
];

class Chart {
  #about;
  #svg = svg('svg', { 'aria-hidden': 'true' });
  #legend = element('ul', { class: 'legend' });
  #read = element('output', { class: 'read' });
  #figure;
  #series = [];
  #until = 0;
  #step = 10000;
  #at = null;
  #width = 0;

  constructor(about, root) {
    this.#about = about;
    this.#figure = element('figure', { class: 'chart', 'data-chart': about.id, tabIndex: 0, role: 'group', 'aria-roledescription': 'chart' },
      element('figcaption', {}, element('h3', {}, about.title), this.#legend), this.#svg, this.#read);
    root.append(this.#figure);
    new ResizeObserver(() => this.#draw()).observe(this.#figure);
    this.#figure.addEventListener('keydown', (event) => this.#onKey(event));
    this.#svg.addEventListener('pointermove', (event) => this.#onPointer(event));
    this.#svg.addEventListener('pointerleave', () => this.#show(null));
    this.#figure.addEventListener('blur', () => this.#show(null));
  }

  update(history, resources) {
    this.#until = history.until_ms;
    this.#step = history.step_ms;
    this.#series = this.#about.lines.map((line) => {
      const values = line.values(history, resources);
      const list = Array.isArray(values) ? values.slice(-STEPS) : [];
      return { ...line, level: Array.isArray(values) ? undefined : values, values: Array(STEPS - list.length).fill(null).concat(list) };
    });
    this.#draw();
  }

  #x(step) {
    return MARGIN.left + ((this.#width - MARGIN.left - MARGIN.right) * step) / STEPS;
  }

  // Steps are flat over their ten seconds: what was sold changes at once, never gradually.
  #path(values, y, closed) {
    let path = '';
    let from = null;
    const base = y(0);
    for (let i = 0; i <= values.length; i++) {
      const value = i < values.length ? values[i] : null;
      if (value === null) {
        if (from !== null && closed) path += `V${base}Z`;
        from = null;
        continue;
      }
      const top = y(value).toFixed(1);
      if (from === null) path += closed ? `M${this.#x(i).toFixed(1)} ${base}V${top}` : `M${this.#x(i).toFixed(1)} ${top}`;
      else path += `V${top}`;
      path += `H${this.#x(i + 1).toFixed(1)}`;
      from = i;
    }
    return path;
  }

  #draw() {
    const width = Math.floor(this.#figure.clientWidth - 2 * parseFloat(getComputedStyle(this.#figure).paddingLeft));
    if (width < 60 || this.#series.length === 0) return;
    this.#width = width;
    const { format, binary, least } = this.#about;
    let highest = least;
    for (const { values, level } of this.#series)
      highest = Math.max(highest, level ?? 0, ...values.filter((v) => v !== null));
    const top = roundUp(highest, binary);
    const y = (value) => MARGIN.top + (HEIGHT - MARGIN.top - MARGIN.bottom) * (1 - value / top);

    this.#svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    this.#svg.setAttribute('width', width);
    this.#svg.setAttribute('height', HEIGHT);
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      parts.push(svg('line', { class: 'grid', x1: MARGIN.left, x2: width - MARGIN.right, y1: y(top * share), y2: y(top * share) }));
      parts.push(svg('text', { class: 'axis', x: MARGIN.left - 6, y: y(top * share) + 4, 'text-anchor': 'end' }, format(top * share)));
    }
    const marks = width < 380 ? 2 : 4;
    for (let i = 0; i <= marks; i++) {
      const when = this.#until - this.#step * STEPS * (1 - i / marks);
      const anchor = i === 0 ? 'start' : i === marks ? 'end' : 'middle';
      parts.push(svg('text', { class: 'axis', x: this.#x((STEPS * i) / marks), y: HEIGHT - 4, 'text-anchor': anchor }, formatTime(when, false)));
    }
    for (const { form, values, level } of this.#series) {
      if (form === 'limit') {
        if (level !== undefined) parts.push(svg('line', { class: 'limit', x1: MARGIN.left, x2: width - MARGIN.right, y1: y(level), y2: y(level) }));
        continue;
      }
      if (form === 'area') parts.push(svg('path', { class: 'area', d: this.#path(values, y, true) }));
      parts.push(svg('path', { class: form === 'area' ? 'edge' : 'line', d: this.#path(values, y, false) }));
    }
    const cursor = svg('line', { class: 'cursor', y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom });
    parts.push(cursor);
    this.#svg.replaceChildren(...parts);
    this.#label();
    this.#show(this.#at);
  }

  #label() {
    const { format, title } = this.#about;
    const sentences = [];
    const items = this.#series.map(({ name, form, values, level }) => {
      const now = level ?? values[values.length - 1];
      const text = now === null || now === undefined ? 'unknown' : format(now);
      const known = values.filter((v) => v !== null);
      sentences.push(`${name} ${text}` + (known.length ? `, highest ${format(Math.max(...known))}` : ''));
      return element('li', {}, element('i', { class: `key ${form}` }), `${name} `, element('b', {}, text));
    });
    this.#legend.replaceChildren(...items);
    this.#figure.setAttribute('aria-label', `${title} in the last hour. ${sentences.join('; ')}.`);
  }

  #show(at) {
    const cursor = this.#svg.querySelector('.cursor');
    this.#at = at;
    if (!cursor) return;
    cursor.style.visibility = at === null ? 'hidden' : 'visible';
    if (at === null) {
      setText(this.#read, '');
      return;
    }
    const x = this.#x(at + 0.5);
    cursor.setAttribute('x1', x);
    cursor.setAttribute('x2', x);
    const when = this.#until - this.#step * (STEPS - at);
    const values = this.#series.filter((s) => s.form !== 'limit').map(({ name, values: list }) =>
      `${name} ${list[at] === null ? 'unknown' : this.#about.format(list[at])}`);
    setText(this.#read, `${formatTime(when)}  ${values.join(', ')}`);
  }

  #onPointer(event) {
    const box = this.#svg.getBoundingClientRect();
    const share = (event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
    this.#show(share < 0 || share > 1 ? null : Math.min(STEPS - 1, Math.floor(share * STEPS)));
  }

  #onKey(event) {
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30, Home: -STEPS, End: STEPS };
    if (event.key === 'Escape') return this.#show(null);
    if (!(event.key in moves)) return undefined;
    event.preventDefault();
    const from = this.#at ?? STEPS;
    return this.#show(Math.max(0, Math.min(STEPS - 1, from + moves[event.key])));
  }
}

export class Charts {
  #charts;

  constructor(root) {
    this.#charts = CHARTS.map((about) => new Chart(about, root));
  }

  update(history, resources) {
    for (const chart of this.#charts) chart.update(history, resources);
  }
}
