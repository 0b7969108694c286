// SPDX-License-Identifier: MIT
// A table that sorts by its headings. Rows are kept by a key and moved, not made anew, so that focus,
// selection and what a screen reader reads stay where they are. On a narrow screen each row is a
// card (style.css), its cells named by data-label, and a list of choices sorts instead of headings.

import { element, setText } from './words.js';

const ROWS_MAX = 400;

export class Table {
  #columns;
  #body;
  #rows = new Map();
  #sort;
  #down = false;
  #headings = [];
  #choice;
  #onSort;

  // @columns: [{ key, title, sort: (row) => value, fill: (cell, row), numeric }]
  constructor(table, columns, { sort, down = false, choice, onSort }) {
    this.#columns = columns;
    this.#body = table.tBodies[0];
    this.#sort = sort;
    this.#down = down;
    this.#choice = choice;
    this.#onSort = onSort;
    for (const column of columns) {
      const button = element('button', { type: 'button' }, column.title, element('span', { class: 'arrow', 'aria-hidden': 'true' }));
      const heading = element('th', { scope: 'col', class: column.numeric ? 'numeric' : '' }, button);
      button.addEventListener('click', () => this.#by(column.key));
      this.#headings.push(heading);
      choice?.append(element('option', { value: column.key }, column.title));
    }
    table.tHead.rows[0].append(...this.#headings);
    choice?.addEventListener('change', () => this.#by(choice.value));
    this.#mark();
  }

  #by(key) {
    const numeric = this.#columns.find((c) => c.key === key).numeric;
    this.#down = this.#sort === key ? !this.#down : Boolean(numeric);
    this.#sort = key;
    this.#mark();
    this.#onSort();
  }

  #mark() {
    this.#columns.forEach((column, i) => {
      const here = column.key === this.#sort;
      const heading = this.#headings[i];
      if (here) heading.setAttribute('aria-sort', this.#down ? 'descending' : 'ascending');
      else heading.removeAttribute('aria-sort');
      setText(heading.querySelector('.arrow'), here ? (this.#down ? '\u25bc' : '\u25b2') : '');
    });
    if (this.#choice) this.#choice.value = this.#sort;
  }

  #compare(a, b) {
    const { sort } = this.#columns.find((c) => c.key === this.#sort);
    const x = sort(a), y = sort(b);
    let order = 0;
    // Unknown is last, whichever way.
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined) || (a.key < b.key ? -1 : 1);
    if (typeof x === 'string') order = x < y ? -1 : x > y ? 1 : 0;
    else order = x - y;
    if (order === 0) return a.key < b.key ? -1 : 1;
    return this.#down ? -order : order;
  }

  #row(data) {
    let row = this.#rows.get(data.key);
    if (!row) {
      const cells = this.#columns.map((column, i) =>
        element(i === 0 ? 'th' : 'td', {
          'data-label': column.title,
          class: column.numeric ? 'numeric' : '',
          scope: i === 0 ? 'row' : undefined,
        }));
      row = { node: element('tr', { 'data-key': data.key }, cells), cells };
      this.#rows.set(data.key, row);
    }
    this.#columns.forEach((column, i) => column.fill(row.cells[i], data));
    return row.node;
  }

  // Shows @rows (each with a unique key). Returns how many there was no room for.
  update(rows) {
    const shown = [...rows].sort((a, b) => this.#compare(a, b)).slice(0, ROWS_MAX);
    const keys = new Set(shown.map((row) => row.key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.node.remove();
      this.#rows.delete(key);
    }
    shown.forEach((data, i) => {
      const node = this.#row(data);
      const here = this.#body.rows[i];
      if (here !== node) this.#body.insertBefore(node, here ?? null);
    });
    return rows.length - shown.length;
  }
}
