// SPDX-License-Identifier: MIT
// Numbers as people read them, and nodes without markup: whatever comes from the broker (a VM may
// be called "<script>") becomes text, never HTML. The page's policy forbids the other way, too.

const KIB = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const RATES = ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s'];

// Three digits at most where that says enough: 1.25, 12.5, 125.
function digits(value) {
  const places = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return String(Number(value.toFixed(places)));
}

function scaled(value, base, units) {
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  // 1023.9 KiB is "1024 KiB" with three digits: then it is the next unit's.
  if (Number(digits(value)) >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  return `${digits(value)} ${units[unit]}`;
}

export const formatSize = (bytes) => scaled(bytes, 1024, KIB);
export const formatRate = (bytesPerSecond) => scaled(bytesPerSecond, 1000, RATES);
export const formatCpu = (milli) => String(Number((milli / 1000).toFixed(milli < 100000 ? 2 : 0)));
export const formatCount = (n) => String(n);
export const formatPercent = (share) => `${digits(share * 100)} %`;

// "5 s", "12 min", "3 h 5 min", "4 d 2 h"
export function formatSpan(seconds) {
  seconds = Math.max(0, Math.floor(seconds));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours / 24} d`;
}

const two = (n) => String(n).padStart(2, '0');
export function formatTime(ms, withSeconds = true) {
  const date = new Date(ms);
  const text = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return withSeconds ? `${text}:${two(date.getSeconds())}` : text;
}

// What each resource is called, and how its amounts are written.
export const RESOURCES = {
  cpu: { title: 'CPUs', format: formatCpu },
  memory: { title: 'Memory', format: formatSize },
  disk: { title: 'Disk space', format: formatSize },
  disk_io: { title: 'Disk I/O', format: formatRate },
  network: { title: 'Network', format: formatRate },
  network_upload: { title: 'Network, upload', format: formatRate },
  gpu: { title: 'GPU slots', format: formatCount },
};

// An element with text or children; properties whose name has a dash or is not the element's own are
// attributes. Undefined children are left out.
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key === 'class') node.className = value;
    else if (key.includes('-') || !(key in node)) node.setAttribute(key, value);
    else node[key] = value;
  }
  for (const child of children.flat())
    if (child !== undefined && child !== null && child !== '') node.append(child);
  return node;
}

// A number that people and programs read: <data value="268435456">256 MiB</data>.
export function amount(format, value, what) {
  return element('data', { value: String(value), 'data-what': what }, format(value));
}

// A name of somebody's: kept apart from the text around it, whatever its direction is.
export function name(text, extra = {}) {
  return element('bdi', { title: text, ...extra }, visible(text));
}

// Control characters, and those that turn text around, are shown as such.
export function visible(text) {
  return String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (c) =>
    `\\u${c.codePointAt(0).toString(16).padStart(4, '0')}`);
}

// Changes text only where it differs, so that a selection and a screen reader are left in peace.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
