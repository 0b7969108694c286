// SPDX-License-Identifier: MIT
// Events as they come, over one server-sent stream that is taken up again where it was left. What
// was missed meanwhile is said with its numbers.

import { RESOURCES, element, formatTime, name, setText, visible } from './words.js';

const KEPT = 200;
const HEAD = new Set(['seq', 'ts_ns', 'kind', 'name', 'slice', 'id', 'uid', 'ticket_id']);
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 8000;
const REFUSED_MAX = 3;

function value(v, key) {
  // What was charged, as people write it: 0.5 CPUs, 32 MiB memory.
  if (key === 'charge' && typeof v === 'object' && v !== null)
    return Object.entries(v).filter(([what, n]) => n > 0 && what in RESOURCES).map(([what, n]) =>
      `${RESOURCES[what].format(n)} ${RESOURCES[what].title}`).join(', ');
  return visible(typeof v === 'object' && v !== null ? JSON.stringify(v) : v);
}

function words(event) {
  if (event.kind !== 'gap')
    return Object.entries(event).filter(([key]) => !HEAD.has(key)).map(([key, v]) => `${visible(key)}=${value(v, key)}`);
  if (event.restarted) return ['the broker was started anew; what happened meanwhile was not kept'];
  if (event.from === undefined) return ['events were missed'];
  const n = event.to - event.from + 1;
  return [`${n} ${n === 1 ? 'event was' : 'events were'} missed, ${event.from} to ${event.to}`];
}

function item(event) {
  const details = words(event);
  const gap = event.kind === 'gap';
  return element('li', { class: gap ? 'gap' : '', 'data-kind': event.kind, 'data-seq': event.seq },
    element('time', { dateTime: event.ts_ns ? new Date(event.ts_ns / 1e6).toISOString() : '' },
      event.ts_ns ? formatTime(event.ts_ns / 1e6) : ''),
    element('span', { class: 'kind' }, visible(event.kind)),
    element('span', { class: 'what' }, event.name ? name(event.name) : '',
      event.slice ? element('span', { class: 'muted' }, ' in ', name(event.slice)) : '',
      details.length ? element('span', { class: 'muted details' }, ` ${details.join(' ')}`) : ''));
}

export class Events {
  #list = document.getElementById('events');
  #kind = document.getElementById('events-kind');
  #hold = document.getElementById('events-hold');
  #kinds = new Set();
  #events = [];
  #source = null;
  #last = null;
  #retry = RETRY_FIRST_MS;
  #refused = 0;
  #timer = 0;
  #tell;

  // @tell: { state(live), event(event) }; state says whether the broker answers else.
  constructor(tell) {
    this.#tell = tell;
    this.#kind.addEventListener('change', () => this.#show());
    this.#hold.addEventListener('click', () => {
      const held = this.#hold.getAttribute('aria-pressed') !== 'true';
      this.#hold.setAttribute('aria-pressed', String(held));
      if (!held) this.#show();
    });
  }

  // The browser would try again by itself, but gives up for good when a proxy answers in the
  // broker's place; and after a pause the place is ours to say.
  open() {
    this.#source?.close();
    clearTimeout(this.#timer);
    this.#source = new EventSource(this.#last === null ? '/events?last=100' : `/events?since=${this.#last + 1n}`);
    this.#source.onopen = () => {
      this.#retry = RETRY_FIRST_MS;
      this.#refused = 0;
      this.#tell.state(true);
    };
    this.#source.onerror = () => {
      this.#source.close();
      // A host that was booted anew counts from the start, and knows no such number.
      if (this.#tell.state(false) && this.#last !== null && ++this.#refused >= REFUSED_MAX) {
        this.#last = null;
        this.#take({ lastEventId: '', data: '{"kind":"gap"}' });
      }
      this.#timer = setTimeout(() => this.open(), this.#retry);
      this.#retry = Math.min(RETRY_MAX_MS, this.#retry * 2);
    };
    this.#source.onmessage = (message) => this.#take(message);
  }

  get isOpen() {
    return this.#source?.readyState === EventSource.OPEN;
  }

  #take(message) {
    let event;
    try {
      event = JSON.parse(message.data);
    } catch {
      return;
    }
    // Once a second while somebody listens: a sample, no news.
    if (event.kind === 'pool_state') return;
    if (/^[0-9]+$/.test(message.lastEventId)) this.#last = BigInt(message.lastEventId);
    this.#events.unshift(event);
    if (this.#events.length > KEPT) this.#events.length = KEPT;
    this.#learn(event.kind);
    if (this.#hold.getAttribute('aria-pressed') !== 'true') this.#add(event);
    this.#tell.event(event);
  }

  #learn(kind) {
    if (this.#kinds.has(kind) || this.#kinds.size > 60) return;
    this.#kinds.add(kind);
    this.#kind.append(element('option', { value: kind }, visible(kind)));
  }

  #wanted(event) {
    return !this.#kind.value || event.kind === this.#kind.value || event.kind === 'gap';
  }

  #add(event) {
    if (!this.#wanted(event)) return;
    this.#list.prepend(item(event));
    while (this.#list.children.length > KEPT) this.#list.lastChild.remove();
    this.#none();
  }

  #show() {
    this.#list.replaceChildren(...this.#events.filter((e) => this.#wanted(e)).map(item));
    this.#none();
  }

  #none() {
    const none = document.getElementById('events-none');
    none.hidden = this.#list.children.length > 0;
    setText(none, this.#events.length ? 'None of this kind.' : 'Nothing has happened yet.');
  }
}
