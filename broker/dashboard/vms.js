// SPDX-License-Identifier: MIT
// The VMs, each with what it uses of what it was sold; and the slices.

import { Table } from './table.js';
import { amount, element, formatCpu, formatRate, formatSize, formatSpan, name, setText, visible } from './words.js';

// "0.42 of 2" above a small bar. A use that is not known is not drawn as none.
function fillUse(cell, format, used, sold, what) {
  if (!cell.firstChild) {
    cell.append(element('span', { class: 'use' },
      element('data', { class: 'is', 'data-what': `${what}_used` }), element('span', { class: 'of muted' }, ' of '),
      element('data', { 'data-what': what })),
    element('span', { class: 'meter', 'aria-hidden': 'true' }, element('i')));
  }
  const [is, of, claim] = cell.firstChild.children;
  const known = used !== undefined && used !== null;
  is.value = known ? String(used) : '';
  setText(is, known ? format(used) : '');
  of.hidden = !known;
  claim.value = String(sold);
  setText(claim, format(sold));
  cell.lastChild.hidden = !known || sold === 0;
  cell.lastChild.firstChild.style.inlineSize = known && sold > 0 ? `${Math.min(100, (100 * used) / sold)}%` : '0';
  cell.classList.toggle('high', known && sold > 0 && used >= 0.9 * sold);
}

const use = (key, title, format, sold, used) => ({
  key, title, numeric: true,
  sort: (vm) => used(vm) ?? sold(vm),
  fill: (cell, vm) => fillUse(cell, format, used(vm), sold(vm), key),
});

const VM_COLUMNS = [
  {
    key: 'name', title: 'Name', sort: (vm) => vm.instance_name,
    fill: (cell, vm) => {
      if (cell.firstChild) return;
      cell.append(name(vm.instance_name, { title: `${visible(vm.instance_name)} (${vm.instance_id})` }));
    },
  },
  { key: 'slice', title: 'Slice', sort: (vm) => vm.slice, fill: (cell, vm) => cell.firstChild || cell.append(name(vm.slice)) },
  {
    key: 'state', title: 'State', sort: (vm) => vm.state ?? '',
    fill: (cell, vm) => {
      setText(cell, vm.state ?? '');
      cell.title = visible(vm.detail ?? '');
    },
  },
  use('cpu', 'CPU', formatCpu, (vm) => Math.round(vm.cpu * 1000), (vm) => vm.used.cpu),
  use('memory', 'Memory', formatSize, (vm) => vm.memory_bytes, (vm) => vm.used.memory),
  use('disk_io', 'Disk I/O', formatRate, (vm) => vm.disk_io_bps, (vm) => vm.used.disk_io),
  use('download', 'Download', formatRate, (vm) => vm.network_download_bps, (vm) => vm.used.download),
  use('upload', 'Upload', formatRate, (vm) => vm.network_upload_bps, (vm) => vm.used.upload),
  {
    key: 'age', title: 'Age', numeric: true, sort: (vm) => vm.age_s,
    fill: (cell, vm) => setText(cell, vm.age_s === undefined ? '' : formatSpan(vm.age_s)),
  },
];

export class Vms {
  #table;
  #filter = document.getElementById('vms-filter');
  #vms = [];

  constructor() {
    this.#table = new Table(document.getElementById('vms-table'), VM_COLUMNS, {
      sort: 'name', choice: document.getElementById('vms-sort'), onSort: () => this.#show(),
    });
    this.#filter.addEventListener('input', () => this.#show());
  }

  #show() {
    const wanted = this.#filter.value.trim().toLowerCase();
    const vms = this.#vms.filter((vm) => !wanted ||
      vm.instance_name.toLowerCase().includes(wanted) || vm.slice.toLowerCase().includes(wanted));
    const left = this.#table.update(vms);
    const more = document.getElementById('vms-more');
    setText(document.getElementById('vms-count'),
      wanted ? `${vms.length} of ${this.#vms.length}` : String(this.#vms.length));
    more.hidden = left === 0 && vms.length > 0;
    setText(more, left > 0 ? `and ${left} more: narrow them down with the filter` : wanted ? 'No VM matches.' : 'No VM runs.');
  }

  update(vms) {
    this.#vms = vms;
    this.#show();
  }
}

const sliceUse = (key, title, format) => ({
  key, title, numeric: true,
  sort: (slice) => slice.allocated[key],
  fill: (cell, slice) => {
    const limit = slice.limit[key];
    cell.replaceChildren(amount(format, slice.allocated[key], key),
      limit === undefined ? '' : element('span', { class: 'muted' }, ` of ${format(limit)}`));
  },
});

const SLICE_COLUMNS = [
  {
    key: 'name', title: 'Slice', sort: (slice) => slice.name,
    fill: (cell, slice) => cell.firstChild || cell.append(name(slice.name, { title: visible(slice.description || slice.name) })),
  },
  { key: 'vms', title: 'VMs', numeric: true, sort: (slice) => slice.vms, fill: (cell, slice) => setText(cell, String(slice.vms)) },
  { key: 'waiting', title: 'Waiting', numeric: true, sort: (slice) => slice.waiting, fill: (cell, slice) => setText(cell, String(slice.waiting)) },
  sliceUse('cpu', 'CPUs sold', formatCpu),
  sliceUse('memory', 'Memory sold', formatSize),
  sliceUse('disk_io', 'Disk I/O sold', formatRate),
  sliceUse('network', 'Network sold', formatRate),
];

export class Slices {
  #slices = [];
  #table = new Table(document.getElementById('slices-table'), SLICE_COLUMNS, {
    sort: 'name', onSort: () => this.#table.update(this.#slices),
  });

  update(slices) {
    this.#slices = slices.map((slice) => ({ ...slice, key: slice.name }));
    this.#table.update(this.#slices);
    setText(document.getElementById('slices-count'), String(slices.length));
  }
}
