// SPDX-License-Identifier: MIT
// What is asked when. Numbers come from /resources, /queue and /stats: at once after an event, which
// may have changed them, and every few seconds for what is used; not while nobody looks at the page.
// One question is under way at a time, so a slow broker is asked less, not more.

import { Bars } from './bars.js';
import { Charts } from './charts.js';
import { Events } from './events.js';
import { Queue } from './queue.js';
import { uses } from './usage.js';
import { Slices, Vms } from './vms.js';
import { element, formatTime, setText } from './words.js';

const EVERY_MS = 3000;
const HISTORY_EVERY_MS = 10000;
const AFTER_EVENT_MS = 150;
const PATIENCE_MS = 10000;

const bars = new Bars(document.getElementById('capacity'));
const charts = new Charts(document.getElementById('charts'));
const vms = new Vms();
const slices = new Slices();
const queue = new Queue();

let resources = null;
let history = null;
let historyAt = 0;
let shownAt = 0;
let reached = false;
let live = false;
let asking = false;
let again = false;
let timer = 0;

async function get(path) {
  const response = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

function showConnection() {
  const state = reached && live ? 'live' : reached && !live && shownAt === 0 ? 'connecting' : reached ? 'polling' : shownAt ? 'gone' : 'connecting';
  const words = {
    live: 'live',
    polling: 'numbers only, events are being connected',
    gone: 'broker gone, trying again',
    connecting: 'connecting',
  };
  const node = document.getElementById('connection');
  const stale = document.getElementById('stale');
  node.dataset.state = state;
  setText(node.querySelector('.words'), words[state]);
  stale.hidden = state !== 'gone';
  if (state === 'gone') setText(stale, `The broker does not answer. What is below is of ${formatTime(shownAt)}; VMs run on without it.`);
}

function showNotices() {
  const notices = [];
  if (resources.gates?.draining) notices.push('draining: nothing is started');
  if (resources.gates?.pressure === 'paused') notices.push('under pressure: starts are paused');
  if (resources.gates?.pressure === 'one_by_one') notices.push('after pressure: starts one by one');
  const node = document.getElementById('notices');
  if (node.dataset.text !== notices.join()) {
    node.dataset.text = notices.join();
    node.replaceChildren(...notices.map((text) => element('span', {}, text)));
  }
}

async function ask() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  clearTimeout(timer);
  try {
    const wantsHistory = Date.now() - historyAt >= HISTORY_EVERY_MS;
    const begun = Date.now();
    const [numbers, stats, waiting, steps] = await Promise.all([
      get('/resources'), get('/stats'), get('/queue'), wantsHistory ? get('/history') : history]);
    resources = numbers;
    if (wantsHistory) historyAt = begun;
    history = steps;
    reached = true;
    shownAt = Date.now();
    const use = uses(resources, stats);
    bars.update(resources, use.host);
    charts.update(history, resources);
    vms.update(use.vms);
    slices.update(resources.slices ?? []);
    queue.update(waiting);
    showNotices();
    const updated = document.getElementById('updated');
    setText(updated, formatTime(begun));
    // Whoever waits for the page to know something compares this with when it happened.
    updated.dateTime = new Date(begun).toISOString();
  } catch (error) {
    // A fault of the page itself is to be seen in the browser's log.
    if (!(error instanceof TypeError && error.message.includes('fetch')) && error.name !== 'TimeoutError' && !/^\/\w+: 5/.test(error.message))
      console.error(error);
    reached = false;
  }
  asking = false;
  showConnection();
  const soon = again;
  again = false;
  if (!document.hidden) timer = setTimeout(ask, soon ? AFTER_EVENT_MS : EVERY_MS);
}

const events = new Events({
  state(open) {
    live = open;
    if (open !== reached) ask();
    showConnection();
    return reached;
  },
  event() {
    if (asking) {
      again = true;
      return;
    }
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(ask, AFTER_EVENT_MS);
  },
});

// Nobody looks: nothing is asked. The events' stream goes on, so that none is missed.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) clearTimeout(timer);
  else ask();
});

setText(document.getElementById('host'), location.host);
events.open();
ask();
