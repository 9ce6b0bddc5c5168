// @ts-check
import { html, useRef } from './html.js';
import { compact, count, duration, exactMoney, fullMoment, moment, money, percent } from './format.js';
import { COST_STATES, hueOf, mayHaveCost, outcomeOf } from './outcome.js';
import { addressOf } from './view.js';

/**
 * A value that narrows the list to itself when clicked. Clicks are handled by the table, by these attributes.
 * @param {{ field: string, value: string | number | null | undefined, children?: any, title?: string, class?: string }} props
 */
function Pick({ field, value, children, title, class: kind = '' }) {
  if (value === null || value === undefined || value === '') return html`<span class="none">–</span>`;
  return html`<button type="button" class=${`pick ${kind}`} data-field=${field} data-value=${value} tabindex="-1"
    title=${title ?? `Only ${field} ${value}`}>${children ?? value}</button>`;
}

/** @param {{ call: any }} props */
export function CostFigure({ call }) {
  const { cost } = call;
  if (cost.total !== null) {
    const mark = cost.estimated ? '≈ ' : '';
    return html`<span title=${exactMoney(cost.total)}>${mark}${money(cost.total)}</span>`;
  }
  const why = cost.why ?? COST_STATES[cost.status] ?? '';
  return mayHaveCost(call) ? html`<span class="unknown" title=${why}>unknown</span>` : html`<span class="none" title=${why}>–</span>`;
}

/** @param {any} props */
function Row({ call, current, open, utc, now, fresh, tail }) {
  const { usage, timing } = call;
  const when = moment(timing.received_at, utc, now);
  const outcome = outcomeOf(call.outcome);
  const state = `${current ? 'current ' : ''}${open ? 'open ' : ''}${fresh ? 'fresh' : ''}`;
  const cached = usage?.cache_read_tokens ? percent(usage.cache_read_tokens, usage.input_tokens) : '';
  const estimated = usage?.source === 'estimated' ? '≈ ' : '';
  return html`<tr role="row" class=${state} data-id=${call.id} aria-current=${open ? 'true' : null}>
    <td role="cell" class="time"><a href=${`/requests/${call.id}${tail}`} title=${fullMoment(timing.received_at, utc)}>
      ${when.day && html`<span class="day">${when.day} </span>`}${when.clock}${!when.day && html`<span class="millis">${when.millis}</span>`}</a></td>
    <td role="cell" class="model"><${Pick} field="model" value=${call.model} /></td>
    <td role="cell" class="provider"><${Pick} field="provider" value=${call.provider}><i class=${`dot ${hueOf(call.provider)}`}></i>${call.provider}<//></td>
    <td role="cell" class="user"><${Pick} field="user" value=${call.user} /></td>
    <td role="cell" class="outcome"><${Pick} field="outcome" value=${call.outcome} class=${`tone-${outcome.tone}`} title=${outcome.about}>${outcome.label}<//>
      ${call.status !== null && html`<${Pick} field="status" value=${call.status} class="status" />`}</td>
    <td role="cell" class="number input">${usage ? html`<span>${estimated}${count(usage.input_tokens)}</span>` : html`<span class="none">–</span>`}
      <span class="cached" title=${cached ? `${count(usage.cache_read_tokens)} of ${count(usage.input_tokens)} read from the provider’s cache` : null}>${cached}</span></td>
    <td role="cell" class="number output">${usage ? html`<span title=${usage.reasoning_tokens ? `${count(usage.reasoning_tokens)} of them reasoning` : null}>${estimated}${count(usage.output_tokens)}</span>` : html`<span class="none">–</span>`}</td>
    <td role="cell" class="number cost"><${CostFigure} call=${call} /></td>
    <td role="cell" class="number ttft">${timing.first_token_us === null ? html`<span class="none">–</span>` : duration(timing.first_token_us)}</td>
    <td role="cell" class="number latency">${duration(timing.end_us)}</td>
  </tr>`;
}

const COLUMNS = [
  ['time', 'Time', 'When the call was received'],
  ['model', 'Model', 'The model that did the work'],
  ['provider', 'Provider', ''],
  ['user', 'User', ''],
  ['outcome', 'Outcome', 'How the call ended, and the HTTP status the client got'],
  ['number input', 'Tokens in', 'All tokens the model read; the percentage was read from the provider’s cache'],
  ['number output', 'Tokens out', 'All tokens the model wrote, reasoning included'],
  ['number cost', 'Cost', 'List price × quantity'],
  ['number ttft', 'TTFT', 'Time to first token: until the first content of a stream was handed to the client'],
  ['number latency', 'Latency', 'Until the call was over'],
];

/**
 * Keeps what was drawn for a row until what it was drawn from changes: an element that is the same one again is passed
 * over, which keeps j and k quick in a list of thousands.
 */
function useDrawn() {
  const before = useRef(/** @type {Map<string, { inputs: unknown[], element: any }>} */ (new Map()));
  const last = before.current;
  const now = (before.current = new Map());
  return (/** @type {string} */ id, /** @type {unknown[]} */ inputs, /** @type {(inputs: any[]) => any} */ draw) => {
    const held = last.get(id);
    const same = held?.inputs.every((input, at) => Object.is(input, inputs[at]));
    const kept = held && same ? held : { inputs, element: draw(inputs) };
    now.set(id, kept);
    return kept.element;
  };
}

/**
 * The latest calls.
 * @param {any} props
 */
export function Table({ rows, view, current, utc, freshIds, onOpen, onPick }) {
  const now = Date.now() * 1000;
  // Rows are drawn again at midnight, when "today" becomes another day.
  const today = new Date().toDateString();
  const onClick = (/** @type {MouseEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    const pick = /** @type {HTMLElement | null} */ (target.closest('[data-field]'));
    if (pick) return onPick(pick.dataset.field, pick.dataset.value);
    const row = /** @type {HTMLElement | null} */ (target.closest('[data-id]'));
    // Somebody who marks text does not mean to open the row.
    if (!row || String(getSelection())) return;
    event.preventDefault();
    onOpen(row.dataset.id);
  };
  const drawn = useDrawn();
  const tail = addressOf({ ...view, open: '-' }).replace(/^[^?]*/, '');
  const row = (/** @type {any} */ call) => drawn(call.id, [call, current === call.id, view.open === call.id, freshIds.has(call.id), utc, today, tail], ([, isCurrent, isOpen, fresh]) => html`<${Row} key=${call.id}
    call=${call} current=${isCurrent} open=${isOpen} fresh=${fresh} utc=${utc} now=${now} tail=${tail} />`);
  return html`<table role="table" class="calls" aria-label="Requests, newest first">
    <thead role="rowgroup"><tr role="row">${COLUMNS.map(([kind, label, about]) => html`<th role="columnheader" scope="col" class=${kind} title=${about || null}>${label}</th>`)}</tr></thead>
    <tbody role="rowgroup" onClick=${onClick}>${rows.map(row)}</tbody>
  </table>`;
}

/** @param {{ totals: any, stale: boolean }} props */
export function Totals({ totals, stale }) {
  const figures = [
    ['Requests', totals ? count(totals.requests) : '…', null],
    ['Spend', totals ? money(totals.cost) : '…', totals && `${exactMoney(totals.cost)}, exact`],
    ['Tokens in', totals ? compact(totals.input_tokens) : '…', totals && count(totals.input_tokens)],
    ['Tokens out', totals ? compact(totals.output_tokens) : '…', totals && count(totals.output_tokens)],
  ];
  return html`<dl class=${`totals ${stale ? 'stale' : ''}`} aria-label="Totals of what the filters pick">
    ${figures.map(([label, figure, title]) => html`<div><dt>${label}</dt><dd title=${title}>${figure}</dd></div>`)}
    ${totals?.unpriced > 0 && html`<div class="unpriced"><dt>Unpriced</dt><dd title="Calls that used something whose cost is not known; they are not part of the spend">${count(totals.unpriced)}</dd></div>`}
  </dl>`;
}
