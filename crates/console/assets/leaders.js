// @ts-check
// A page of the values of one field: who or what costs how much, and one of them on its own.
import { html, useMemo } from './html.js';
import { useAsk } from './ask.js';
import { TimeChart } from './chart.js';
import { compact, money } from './format.js';
import { Grid, Share } from './grid.js';
import { Cost, Count, Go, Rate, Searched, Span, Spend, Title, Trouble } from './parts.js';
import { aligned, change } from './scale.js';
import { stackOf, startsOf } from './series.js';
import { axisMoney, axisSpan } from './axis.js';

/** Moves a choice in a grid by keys. @param {{ site: any, rows: any[], keyOf: (row: any) => string, onEnter: (row: any) => void }} props */
export function useGridKeys({ site, rows, keyOf, onEnter }) {
  const at = site.view.p.at ?? '';
  const index = rows.findIndex((row) => keyOf(row) === at);
  const step = (/** @type {number} */ by) => {
    const next = rows[Math.max(0, Math.min(rows.length - 1, index < 0 ? 0 : index + by))];
    if (next) site.set({ at: keyOf(next) }, true);
    requestAnimationFrame(() => document.querySelector('.grid-table tr.current')?.scrollIntoView({ block: 'nearest' }));
  };
  site.stepper.current = { step, enter: () => rows[index] && onEnter(rows[index]), leave: () => (site.set({ at: '' }, true), true), current: () => null };
  return at;
}

/** What a row of sums shows, besides its name. @param {number} mostCost @returns {import('./grid.js').Column[]} */
export function sumColumns(mostCost) {
  return [
    { name: 'cost', label: 'Spend', number: true, sort: 'cost', show: (row) => html`<${Share} part=${mostCost > 0 ? Number(row.cost) / mostCost : 0}><${Spend} sums=${row} /><//>` },
    { name: 'delta', label: 'Change', about: 'Of the spend, against the period before', number: true, narrow: true, show: (row) => html`<${Moved} row=${row} />` },
    { name: 'requests', label: 'Requests', number: true, sort: 'requests', show: (row) => html`<${Count} value=${row.requests} />` },
    { name: 'mean', label: 'Per request', about: 'Spend by requests', number: true, narrow: true, show: (row) => (row.requests > 0 && Number(row.cost) > 0 ? money((Number(row.cost) / row.requests).toFixed(12)) : html`<span class="none">–</span>`) },
    { name: 'errors', label: 'Errors', number: true, sort: 'errors', show: (row) => html`<${Rate} part=${row.error_rate} bad />` },
    { name: 'tokens', label: 'Tokens', number: true, narrow: true, sort: 'tokens', show: (row) => html`<${Count} value=${row.input_tokens + row.output_tokens} />` },
    { name: 'latency', label: 'p95 latency', number: true, narrow: true, show: (row) => html`<${Span} us=${row.percentiles?.latency_us?.p95 ?? row.mean_latency_us} />` },
  ];
}

/** @param {{ row: any }} props */
function Moved({ row }) {
  if (row.previous === undefined) return html`<span class="none">–</span>`;
  if (row.previous === null) return html`<span class="muted">new</span>`;
  const moved = change(Number(row.cost), Number(row.previous.cost));
  return moved ? html`<span class=${Math.abs(moved.part) < 0.1 ? '' : moved.part > 0 ? 'tone-bad' : 'tone-good'}>${moved.text}</span>` : html`<span class="none">–</span>`;
}

/**
 * @param {{ site: any, title: string, about: string, what: string, field: string, label: string, nameOf?: (key: string | null) => any, hrefOf: (key: string) => any, having?: boolean }} props
 * `field`: what is grouped by; `hrefOf`: the view of one value
 */
export function Leaders({ site, title, about, what, field, label, hrefOf, children }) {
  const { view, offset, utc } = site;
  const sort = view.p.sort ?? '-cost';
  const present = `${view.q} ${/^prop\./.test(field) && !/^prop\.[\w.]+$/.test(field) ? `prop."${field.slice(5)}"` : field}:*`.trim();
  const compared = view.range === 'all' && view.from === null ? {} : { compare: 'previous' };
  const list = useAsk(`/api/breakdown?${site.ask({ by: field, sort, limit: 200, percentiles: 'latency_us', ...compared }, { q: present })}`);
  const over = useAsk(`/api/series?${site.ask({ by: field, top: 7, sort: '-cost', offset_minutes: offset }, { q: present })}`);
  const rows = list.data?.rows ?? [];
  const keyOf = (/** @type {any} */ row) => row.keys[field] ?? '';
  const at = useGridKeys({ site, rows, keyOf, onEnter: (row) => site.go(hrefOf(keyOf(row))) });
  const starts = useMemo(() => over.data && startsOf(over.data, offset), [over.data, offset]);
  const series = useMemo(() => starts && stackOf(over.data, starts, (point) => Number(point.cost), (key) => key ?? 'without', (key) => site.go(hrefOf(key))), [over.data, starts, view]);
  const most = Math.max(0, ...rows.map((/** @type {any} */ row) => Number(row.cost)));
  const columns = [{ name: 'key', label, show: (/** @type {any} */ row) => keyOf(row) }, ...sumColumns(most)];
  return html`<div class="pad"><${Title} title=${title} about=${about}>${children}<//>
    <${Trouble} error=${list.error} what=${what} /><${Searched} searched=${list.data?.searched} />
    ${starts && series.length > 0 && html`<section class="card"><${TimeChart} title="Spend over time" starts=${starts} step=${over.data.step_us} series=${series} utc=${utc} format=${axisMoney} height=${170} onZoom=${site.zoom} stale=${over.stale} /></section>`}
    ${list.data ? html`<section class="card flush"><${Grid} label=${title} columns=${columns} rows=${rows} sort=${sort} onSort=${(/** @type {string} */ next) => site.set({ sort: next === '-cost' ? '' : next })} keyOf=${keyOf} hrefOf=${(/** @type {any} */ row) => site.href(hrefOf(keyOf(row)))} onRow=${(/** @type {any} */ row) => site.go(hrefOf(keyOf(row)))} current=${at} stale=${list.stale} />
      ${list.data.more && html`<p class="muted nothing">The ${rows.length} greatest are shown; filter to see others.</p>`}</section>` : !list.error && html`<div class="waiting tall"></div>`}</div>`;
}

/** One value's own figures and charts. @param {{ site: any, q: string, by: [string, string][] }} props `by`: fields and headings of the breakdowns beneath */
export function One({ site, q, by }) {
  const { offset, utc, view } = site;
  const compared = view.range === 'all' && view.from === null ? {} : { compare: 'previous' };
  const totals = useAsk(`/api/totals?${site.ask({ percentiles: 'latency_us,ttft_us', ...compared }, { q })}`);
  const over = useAsk(`/api/series?${site.ask({ percentiles: 'latency_us', offset_minutes: offset }, { q })}`);
  const starts = useMemo(() => over.data && startsOf(over.data, offset), [over.data, offset]);
  const line = (/** @type {string} */ key, /** @type {string} */ label, /** @type {string} */ hue, /** @type {(point: any) => number} */ pick) => ({ key, label, hue, values: aligned(starts ?? [], over.data.points, pick) });
  const figures = totals.data && [
    ['Spend', html`<${Spend} sums=${totals.data} />`, change(Number(totals.data.cost), Number(totals.data.previous?.cost ?? 0))],
    ['Requests', html`<${Count} value=${totals.data.requests} />`, change(totals.data.requests, totals.data.previous?.requests)],
    ['Errors', html`<${Rate} part=${totals.data.error_rate} bad />`, change(totals.data.error_rate, totals.data.previous?.error_rate)],
    ['Tokens in', html`<${Count} value=${totals.data.input_tokens} />`, change(totals.data.input_tokens, totals.data.previous?.input_tokens)],
    ['Tokens out', html`<${Count} value=${totals.data.output_tokens} />`, change(totals.data.output_tokens, totals.data.previous?.output_tokens)],
    ['p95 latency', html`<${Span} us=${totals.data.percentiles.latency_us.p95} />`, change(totals.data.percentiles.latency_us.p95, totals.data.previous?.percentiles?.latency_us?.p95)],
    ['p95 first token', html`<${Span} us=${totals.data.percentiles.ttft_us.p95} />`, null],
  ];
  return html`<${Trouble} error=${totals.error} what="sums" />
    ${figures && html`<dl class=${`totals card-line ${totals.stale ? 'stale' : ''}`}>${figures.map(([label, figure, moved]) => html`<div><dt>${label}</dt><dd>${figure}</dd>${moved && html`<dd class="delta muted">${/** @type {any} */ (moved).text}</dd>`}</div>`)}</dl>`}
    ${starts && html`<div class="charts three">
      <section class="card"><${TimeChart} title="Spend" starts=${starts} step=${over.data.step_us} series=${[line('cost', 'Spend', 'hue-5', (point) => Number(point.cost))]} utc=${utc} format=${axisMoney} height=${150} onZoom=${site.zoom} stale=${over.stale} /></section>
      <section class="card"><${TimeChart} title="Requests" starts=${starts} step=${over.data.step_us} series=${[line('good', 'Went well', 'hue-good', (point) => point.requests - point.errors), line('bad', 'Went wrong', 'hue-bad', (point) => point.errors)]} utc=${utc} format=${compact} height=${150} onZoom=${site.zoom} stale=${over.stale} legend=${false} /></section>
      <section class="card"><${TimeChart} title="Latency" kind="lines" starts=${starts} step=${over.data.step_us} series=${['p50', 'p95'].map((part, at) => line(part, part, `hue-${at}`, (point) => point.percentiles.latency_us[part]))} utc=${utc} format=${axisSpan} height=${150} onZoom=${site.zoom} stale=${over.stale} /></section>
    </div>`}
    <div class="charts">${by.map(([field, heading]) => html`<${Beneath} key=${field} site=${site} q=${q} field=${field} heading=${heading} />`)}</div>`;
}

/** The greatest values of another field under the same filter. @param {{ site: any, q: string, field: string, heading: string }} props */
export function Beneath({ site, q, field, heading }) {
  const { data, stale } = useAsk(`/api/breakdown?${site.ask({ by: field, sort: '-cost', limit: 8 }, { q })}`);
  const rows = (data?.rows ?? []).filter((/** @type {any} */ row) => row.keys[field] !== null);
  if (!data || rows.length === 0) return null;
  const most = Math.max(0, ...rows.map((/** @type {any} */ row) => Number(row.cost)));
  const columns = [
    { name: 'key', label: heading, show: (/** @type {any} */ row) => html`<${Go} site=${site} to=${site.requestsOf(field, row.keys[field], q)}>${row.keys[field]}<//>` },
    { name: 'cost', label: 'Spend', number: true, show: (/** @type {any} */ row) => html`<${Share} part=${most > 0 ? Number(row.cost) / most : 0}><${Cost} amount=${row.cost} /><//>` },
    { name: 'requests', label: 'Requests', number: true, show: (/** @type {any} */ row) => html`<${Count} value=${row.requests} />` },
  ];
  return html`<section class="card flush"><${Grid} label=${heading} columns=${columns} rows=${rows} keyOf=${(/** @type {any} */ row) => row.keys[field]} stale=${stale} /></section>`;
}
