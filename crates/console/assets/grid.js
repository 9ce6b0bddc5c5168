// @ts-check
// A table of sums: sorted by its heads, each row a link or a filter.
import { html } from './html.js';

/**
 * @typedef {{ name: string, label: string, about?: string, number?: boolean, sort?: string, show: (row: any) => any, narrow?: boolean }} Column
 * @param {{ label: string, columns: Column[], rows: any[], sort?: string, onSort?: (sort: string) => void, keyOf: (row: any) => string, hrefOf?: (row: any) => string, onRow?: (row: any) => void,
 *   current?: string | null, stale?: boolean, empty?: any }} props
 */
export function Grid({ label, columns, rows, sort = '', onSort, keyOf, hrefOf, onRow, current, stale = false, empty = 'Nothing in this period.' }) {
  if (rows.length === 0) return html`<p class="muted nothing">${empty}</p>`;
  const head = (/** @type {Column} */ column) => {
    if (!column.sort || !onSort) return html`<th scope="col" class=${kind(column)} title=${column.about}>${column.label}</th>`;
    const state = sort === `-${column.sort}` ? 'descending' : sort === column.sort ? 'ascending' : null;
    return html`<th scope="col" class=${kind(column)} aria-sort=${state} title=${column.about}><button type="button" class="sorts" onClick=${() => onSort(state === 'descending' ? column.sort ?? '' : `-${column.sort}`)}>${column.label}${state && html`<i aria-hidden="true">${state === 'descending' ? '↓' : '↑'}</i>`}</button></th>`;
  };
  const onClick = (/** @type {MouseEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.metaKey || event.ctrlKey || event.shiftKey || target.closest('button, input') || String(getSelection())) return;
    const at = /** @type {HTMLElement | null} */ (target.closest('[data-at]'))?.dataset.at;
    if (at === undefined || !onRow || (target.closest('a') && !target.closest('a.row-link'))) return;
    event.preventDefault();
    onRow(rows[Number(at)]);
  };
  return html`<div class=${`grid-scroll ${stale ? 'stale' : ''}`}><table class="grid-table" aria-label=${label}><thead><tr>${columns.map(head)}</tr></thead>
    <tbody onClick=${onClick}>${rows.map((row, at) => html`<tr key=${keyOf(row)} data-at=${at} class=${`${onRow ? 'opens' : ''} ${current === keyOf(row) ? 'current' : ''}`}>${columns.map((column, which) => html`<td class=${kind(column)} data-label=${column.label}>${which === 0 && hrefOf ? html`<a class="row-link" href=${hrefOf(row)}>${column.show(row)}</a>` : column.show(row)}</td>`)}</tr>`)}</tbody></table></div>`;
}

/** @param {Column} column */
function kind(column) {
  return `${column.number ? 'number' : ''} ${column.narrow ? 'narrow' : ''} col-${column.name}`;
}

/** A part of the greatest as a bar behind a figure. @param {{ part: number, children?: any }} props */
export function Share({ part, children }) {
  return html`<span class="share"><span>${children}</span><i style=${{ width: `${Math.max(1, Math.min(100, part * 100)).toFixed(1)}%` }}></i></span>`;
}
