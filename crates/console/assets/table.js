// @ts-check
// The latest calls, of which only those in sight are in the page.
import { html, useMemo, useRef } from './html.js';
import { compact, count, exactMoney, money, percent } from './format.js';
import { addressOf } from './view.js';
import { useWindow } from './window.js';

/** Heights of a row in px, as the style sheet has them: in one line, and on a phone. */
export const ROW = 31;
export const TALL_ROW = 58;
export const isNarrow = () => matchMedia('(max-width: 760px)').matches;

/** @param {any} props */
export function Table({ rows, view, columns, current, marked, utc, freshIds, scroller, placeRef, onOpen, onPick, onSort }) {
  const now = Date.now() * 1000;
  const body = placeRef ?? useRef(null);
  const height = isNarrow() ? TALL_ROW : ROW;
  const [first, last] = useWindow(scroller, body, rows.length, height);
  const tail = useMemo(() => addressOf({ ...view, open: '-' }).replace(/^[^?]*/, ''), [view]);
  const onClick = (/** @type {MouseEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    const pick = /** @type {HTMLElement | null} */ (target.closest('[data-field]'));
    if (pick) return onPick(pick.dataset.field, pick.dataset.value, event.altKey);
    const row = /** @type {HTMLElement | null} */ (target.closest('[data-id]'));
    // Somebody who marks text does not mean to open the row.
    if (!row || String(getSelection())) return;
    event.preventDefault();
    onOpen(row.dataset.id);
  };
  const sort = view.p.sort ?? '';
  const head = (/** @type {any} */ { name, label, about, number, sort: by }) => {
    const state = by === undefined ? null : (by === '' ? sort === '' : sort === `-${by}`) ? 'descending' : by && sort === by ? 'ascending' : null;
    const next = by === '' ? '' : state === 'descending' ? by : `-${by}`;
    return html`<th role="columnheader" scope="col" class=${`${number ? 'number' : ''} ${name}`} title=${about} aria-sort=${state}>${by === undefined ? label : html`<button type="button" class="sorts" onClick=${() => onSort(next)}>${label}${state && html`<i aria-hidden="true">${state === 'descending' ? '↓' : '↑'}</i>`}</button>`}</th>`;
  };
  const given = { utc, now, tail };
  const row = (/** @type {any} */ call) => html`<tr role="row" key=${call.id} data-id=${call.id} aria-current=${view.open === call.id ? 'true' : null}
    class=${`${current === call.id ? 'current ' : ''}${view.open === call.id ? 'open ' : ''}${marked === call.id ? 'marked ' : ''}${freshIds.has(call.id) ? 'fresh' : ''}`}>
    ${columns.map((/** @type {any} */ { name, number, show }) => html`<td role="cell" class=${`${number ? 'number ' : ''}${name}`}>${show(call, given)}</td>`)}</tr>`;
  const gap = (/** @type {number} */ count, /** @type {string} */ key) => count > 0 && html`<tr key=${key} class="gap" aria-hidden="true"><td style=${{ height: `${count * height}px` }}></td></tr>`;
  return html`<table role="table" class="calls" aria-label="Requests, newest first" aria-rowcount=${rows.length}>
    <colgroup>${columns.map((/** @type {any} */ { name, width }) => html`<col class=${`col-${name}`} style=${width ? { width: `${width}px` } : null} />`)}</colgroup>
    <thead role="rowgroup"><tr role="row">${columns.map(head)}</tr></thead>
    <tbody role="rowgroup" ref=${body} onClick=${onClick}>${gap(first, 'above')}${rows.slice(first, last).map(row)}${gap(rows.length - last, 'below')}</tbody>
  </table>`;
}

/** @param {{ totals: any, stale: boolean }} props */
export function Totals({ totals, stale }) {
  const figures = [
    ['Requests', totals ? count(totals.requests) : '…', null],
    ['Spend', totals ? money(totals.cost) : '…', totals && `${exactMoney(totals.cost)}, exact`],
    ['Errors', totals ? (totals.errors ? percent(totals.errors, totals.requests) : '0') : '…', totals && `${count(totals.errors)} of ${count(totals.requests)}`],
    ['Tokens in', totals ? compact(totals.input_tokens) : '…', totals && count(totals.input_tokens)],
    ['Tokens out', totals ? compact(totals.output_tokens) : '…', totals && count(totals.output_tokens)],
  ];
  return html`<dl class=${`totals ${stale ? 'stale' : ''}`} aria-label="Totals of what the filters pick">
    ${figures.map(([label, figure, title]) => html`<div><dt>${label}</dt><dd title=${title}>${figure}</dd></div>`)}
    ${totals?.unpriced > 0 && html`<div class="unpriced"><dt>Unpriced</dt><dd title="Calls that used something whose cost is not known; they are not part of the spend">${count(totals.unpriced)}</dd></div>`}
  </dl>`;
}
