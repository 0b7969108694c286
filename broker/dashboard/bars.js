// SPDX-License-Identifier: MIT
// A card for each resource: a bar of what may be sold, with what is sold, used and guaranteed of it,
// and the same as numbers. Sold is hatched, used a solid bar in its middle, guaranteed a bracket: so
// no colour is needed, and to a screen reader the bar is its sentence.

import { RESOURCES, amount, element, formatPercent, setText } from './words.js';

const LABELS = [
  ['allocated', 'sold'],
  ['effective_limit', 'limit'],
  ['used', 'used'],
  ['guaranteed', 'guaranteed'],
  ['available', 'free to sell'],
  ['capacity', 'host has'],
];

function makeCard(key) {
  const words = RESOURCES[key];
  const values = {};
  const rows = LABELS.map(([what, label]) => {
    values[what] = amount(words.format, 0, what);
    // Of files on a disk nobody keeps a sum for VMs alone; of slots, what is sold is in use.
    if (what === 'used' && (key === 'disk' || key === 'gpu')) return '';
    return element('div', { class: what }, element('dt', {}, label), element('dd', {}, values[what]));
  });
  const parts = {
    share: element('span', { class: 'share' }),
    bar: element('div', { class: 'bar', role: 'img' },
      element('div', { class: 'sold' }), element('div', { class: 'used' }),
      element('div', { class: 'guaranteed' }), element('div', { class: 'physical' })),
    note: element('p', { class: 'note muted' }),
    values,
  };
  parts.card = element('article', { class: 'card', 'data-resource': key, 'aria-labelledby': `card-${key}` },
    element('div', { class: 'title' },
      element('h3', { id: `card-${key}` }, words.title),
      parts.share),
    parts.bar, element('dl', {}, rows), parts.note);
  return parts;
}

function place(node, share) {
  node.classList.toggle('none', !(share > 0));
  node.style.inlineSize = `${Math.max(0, Math.min(1, share)) * 100}%`;
}

function note(key, resource) {
  if (!resource.enforced || resource.source === 'unknown')
    return `not enforced: ${resource.detail || 'how much there is, is not known'}`;
  const parts = [];
  if (resource.oversub_ratio !== 1) parts.push(`ratio ${resource.oversub_ratio}`);
  if (resource.reserve > 0) parts.push(`${RESOURCES[key].format(resource.reserve)} kept back`);
  parts.push(resource.source);
  return parts.join(', ');
}

function fill(parts, key, resource, used) {
  const { format, title } = RESOURCES[key];
  const limit = resource.effective_limit;
  // What was sold before a limit was lowered may be above it: the bar grows, the limit does not lie.
  const scale = Math.max(limit, resource.allocated, resource.capacity - resource.reserve, 1);
  const all = { ...resource, used };
  for (const [what] of LABELS) {
    const node = parts.values[what];
    const known = all[what] !== undefined && all[what] !== null;
    node.value = known ? String(all[what]) : '';
    setText(node, known ? format(all[what]) : 'unknown');
  }
  const [sold, inner, guaranteed, physical] = parts.bar.children;
  place(sold, resource.allocated / scale);
  place(inner, (used ?? 0) / scale);
  inner.hidden = used === undefined || used === null;
  place(guaranteed, resource.guaranteed / scale);
  const has = resource.capacity - resource.reserve;
  physical.hidden = has === limit;
  place(physical, has / scale);
  setText(parts.share, limit > 0 ? `${formatPercent(resource.allocated / limit)} sold` : 'nothing to sell');
  parts.bar.setAttribute('aria-label',
    `${title}: ${format(resource.allocated)} of ${format(limit)} sold, ` +
    `${format(resource.guaranteed)} guaranteed` +
    (used === undefined || used === null ? '' : `, ${format(used)} used`));
  parts.card.classList.toggle('full', limit > 0 && resource.allocated >= limit);
  setText(parts.note, note(key, resource));
}

export class Bars {
  #root;
  #cards = new Map();

  constructor(root) {
    this.#root = root;
  }

  // @used: by resource, as far as it is known.
  update(resources, used) {
    for (const key of Object.keys(RESOURCES)) {
      const resource = resources[key];
      // A host without GPUs, or with a link that is one for both directions, has no such card.
      if (!resource || (resource.capacity === 0 && resource.source !== 'unknown' && resource.allocated === 0)) {
        this.#cards.get(key)?.card.remove();
        this.#cards.delete(key);
        continue;
      }
      if (!this.#cards.has(key)) {
        const parts = makeCard(key);
        this.#cards.set(key, parts);
        this.#root.append(parts.card);
      }
      fill(this.#cards.get(key), key, resource, used[key]);
    }
  }
}
