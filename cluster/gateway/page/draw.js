// Small helpers that draw: elements, numbers, times, and charts of what was last seen.

// h makes an element; text is always text.
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// s makes an element of SVG.
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// say changes an element's text, if it is another one.
export function say(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

// renew replaces an element's children when what they are made from has changed.
export function renew(element, from, make) {
  const mark = JSON.stringify(from);
  if (element.made === mark) return false;
  element.made = mark;
  element.replaceChildren(...make());
  return true;
}

export const number = (n) => n.toLocaleString('en', { maximumFractionDigits: 0 });

// short is a number with three digits and what they count.
export function short(n) {
  if (n >= 1e6) return `${(n / 1e6).toPrecision(3)} M`;
  if (n >= 1e4) return `${(n / 1e3).toPrecision(3)} k`;
  return number(n);
}

export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return `${unit ? n.toFixed(1) : n} ${units[unit]}`;
}

export function millis(ms) {
  if (ms >= 1000) return `${Number((ms / 1000).toPrecision(2))} s`;
  return `${Number(ms.toPrecision(ms >= 100 ? 3 : 2))} ms`;
}

export const clock = (at) => new Date(at).toLocaleTimeString('en-GB');

// ago is how long something has lasted.
export function ago(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

const longest = 3 * 60 * 1000, shortest = 30 * 1000; // what a chart spans, in milliseconds
const wide = 320, high = 110, left = 44, top = 6, bottom = 16;

// Chart draws lines over the last minutes. A line has a name, a colour and points, of
// which those without a value are gaps. Where values may differ a thousandfold, its scale
// is logarithmic.
export class Chart {
  constructor(title, show, logarithmic = false) {
    this.show = show;
    this.scale = logarithmic ? decades : even;
    this.lines = new Map();
    this.now = h('p', { class: 'now' });
    this.legend = h('p', { class: 'legend' });
    this.svg = s('svg', { viewBox: `0 0 ${wide} ${high}`, preserveAspectRatio: 'none', role: 'img' });
    this.title = title;
    this.element = h('div', { class: 'chart' }, h('h3', {}, title), this.now, this.svg, this.legend);
  }

  // add notes what a line was at some time; null is a gap.
  add(name, colour, at, value) {
    if (!this.lines.has(name)) this.lines.set(name, { colour, points: [] });
    const points = this.lines.get(name).points;
    points.push([at, value]);
    while (points.length > 1 && points[0][0] < at - longest - 2000) points.shift();
  }

  // gap ends lines where nothing was seen for a while.
  gap(at) {
    for (const name of this.lines.keys()) this.add(name, '', at, null);
  }

  draw(at, ...now) {
    this.now.replaceChildren(...now);
    let most = 0, first = at;
    for (const { points } of this.lines.values()) {
      first = Math.min(first, points[0][0]);
      for (const [, v] of points) most = Math.max(most, v ?? 0);
    }
    const span = Math.min(longest, Math.max(shortest, at - first));
    const { place, levels } = this.scale(most);
    const width = Math.max(200, this.svg.clientWidth || wide);
    this.svg.setAttribute('viewBox', `0 0 ${width} ${high}`);
    const x = (t) => left + (width - left) * (1 - (at - t) / span);
    const y = (v) => top + (high - top - bottom) * (1 - place(v));
    const parts = [];
    for (const level of levels) {
      parts.push(s('line', { class: 'grid', x1: left, x2: width, y1: y(level), y2: y(level) }));
      parts.push(s('text', { x: left - 7, y: y(level) + 4, 'text-anchor': 'end' }, level ? this.show(level) : '0'));
    }
    for (const part of [1, 0.5]) {
      parts.push(s('text', { x: x(at - span * part), y: high - 2, 'text-anchor': part === 1 ? 'start' : 'middle' }, `−${Math.round(span * part / 1000)} s`));
    }
    parts.push(s('text', { x: width, y: high - 2, 'text-anchor': 'end' }, 'now'));
    for (const { colour, points } of this.lines.values()) parts.push(...curve(colour, points.filter(([t]) => t >= at - span), x, y, this.lines.size));
    this.svg.replaceChildren(...parts);
    this.svg.setAttribute('aria-label', `${this.title}: ${this.now.textContent}`);
    renew(this.legend, [...this.lines.keys()], () => this.lines.size < 2 ? [] : [...this.lines].map(([name, { colour }]) =>
      h('span', {}, s('svg', { viewBox: '0 0 18 10', 'aria-hidden': 'true' }, s('path', { class: colour, d: 'M0 5h18' })), name)));
  }
}

// curve draws one line, in pieces between its gaps.
function curve(colour, points, x, y, lines) {
  const pieces = [[]];
  for (const [t, v] of points) {
    if (v === null) pieces.push([]);
    else pieces.at(-1).push([x(t).toFixed(1), y(v).toFixed(1)]);
  }
  const paths = [];
  for (const piece of pieces.filter((p) => p.length)) {
    const d = `M${piece.map((p) => p.join(' ')).join('L')}${piece.length === 1 ? 'h.01' : ''}`;
    if (lines === 1 && piece.length > 1) {
      const ground = y(0).toFixed(1);
      paths.push(s('path', { class: `area ${colour.replace('c', 'f')}`, d: `${d}L${piece.at(-1)[0]} ${ground}L${piece[0][0]} ${ground}Z` }));
    }
    paths.push(s('path', { class: colour, d }));
  }
  return paths;
}

// even is a scale from nothing to a round number that is not smaller than the most.
function even(most) {
  const power = 10 ** Math.floor(Math.log10(most || 1));
  const limit = power * [1, 2, 4, 5, 10].find((step) => most <= step * power);
  return { place: (v) => v / limit, levels: [0, limit / 2, limit] };
}

// decades is a scale of powers of ten, from a tenth on.
function decades(most) {
  const powers = Math.max(2, Math.ceil(Math.log10(most || 1)) + 1);
  const levels = Array.from({ length: powers + 1 }, (_, i) => 10 ** (i - 1));
  return { place: (v) => Math.max(0, (Math.log10(Math.max(v, 0.1)) + 1) / powers), levels };
}
