// SPDX-License-Identifier: MIT
// Who waits, in order, and for what.

import { element, formatCpu, formatSize, formatSpan, name, setText, visible } from './words.js';

// In words, beside the name that programs use.
const REASONS = {
  pool_full: 'the host is full',
  slice_full: 'the slice is full',
  user_quota: "the user's quota is used up",
  memory_available: 'memory is in use',
  psi_pressure: 'the host is under pressure',
  draining: 'the host is being drained',
};

function item(waiting, now_ns) {
  const seconds = (now_ns - waiting.since_ns) / 1e9;
  const { cpu, memory } = waiting.charge;
  return element('li', { 'data-key': waiting.ticket_id, value: waiting.position + 1 },
    element('p', { class: 'who' }, name(waiting.name || waiting.ticket_id), ' ',
      element('span', { class: 'muted' }, 'in ', name(waiting.slice), `, for ${formatSpan(seconds)}`)),
    element('p', {}, element('code', { class: 'reason' }, waiting.reason), ' ', REASONS[waiting.reason] ?? ''),
    element('p', { class: 'muted detail' }, waiting.detail ? visible(waiting.detail)
      : `asks for ${formatCpu(cpu)} CPUs, ${formatSize(memory)}`));
}

export class Queue {
  #list = document.getElementById('queue');

  // @queue: an answer of /queue. There may be more than its first: others' are counted, not shown.
  update({ first, length: count, now_ns }) {
    const items = first.map((waiting) => item(waiting, now_ns));
    const hidden = count - items.length;
    if (hidden > 0 && items.length > 0) items.push(element('li', { class: 'more muted' }, `and ${hidden} more`));
    this.#list.replaceChildren(...items);
    setText(document.getElementById('queue-count'), String(count));
    const none = document.getElementById('queue-none');
    none.hidden = items.length > 0;
    setText(none, count === 0 ? 'Nobody waits.' : `${count} wait; whose claims they are is not shown here.`);
  }
}
