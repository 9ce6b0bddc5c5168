// @ts-check
// Prompts by version: whether the new one is dearer, slower or worse.
import { html, useMemo } from '../html.js';
import { useAsk } from '../ask.js';
import { axisMoney, axisSpan } from '../axis.js';
import { TimeChart } from '../chart.js';
import { compact, money } from '../format.js';
import { Grid } from '../grid.js';
import { One, sumColumns, useGridKeys } from '../leaders.js';
import { Go, Searched, Span, Title, Trouble } from '../parts.js';
import { withCondition } from '../query.js';
import { stackOf, startsOf } from '../series.js';
import { onPage } from '../view.js';

/** @param {{ site: any }} props */
export function Prompts({ site }) {
  return site.view.id === null ? html`<${List} site=${site} />` : html`<${Prompt} site=${site} id=${site.view.id} />`;
}

const tokensPer = (/** @type {any} */ row, /** @type {string} */ which) => (row.requests > 0 ? compact(Math.round(row[which] / row.requests)) : '–');

/** @param {{ site: any }} props */
function List({ site }) {
  const { view } = site;
  const sort = view.p.sort ?? '-cost';
  const compared = view.range === 'all' && view.from === null ? {} : { compare: 'previous' };
  const { data, error, stale } = useAsk(`/api/prompts?${site.ask({ sort, limit: 200, percentiles: 'latency_us', ...compared })}`);
  const rows = data?.rows ?? [];
  const keyOf = (/** @type {any} */ row) => `${row.keys.prompt}@${row.keys.prompt_version ?? ''}`;
  const pageOf = (/** @type {any} */ row) => onPage(view, 'prompts', { id: row.keys.prompt });
  const at = useGridKeys({ site, rows, keyOf, onEnter: (row) => site.go(pageOf(row)) });
  const most = Math.max(0, ...rows.map((/** @type {any} */ row) => Number(row.cost)));
  const columns = [
    { name: 'key', label: 'Prompt', show: (/** @type {any} */ row) => row.keys.prompt },
    { name: 'version', label: 'Version', show: (/** @type {any} */ row) => row.keys.prompt_version ?? html`<span class="none">–</span>` },
    ...sumColumns(most),
    { name: 'in', label: 'In, mean', number: true, narrow: true, show: (/** @type {any} */ row) => tokensPer(row, 'input_tokens') },
    { name: 'out', label: 'Out, mean', number: true, narrow: true, show: (/** @type {any} */ row) => tokensPer(row, 'output_tokens') },
  ];
  return html`<div class="pad"><${Title} title="Prompts" about="By id and version (Helicone-Prompt-Id, Helicone-Prompt-Version)" />
    <${Trouble} error=${error} what="prompts" /><${Searched} searched=${data?.searched} />
    ${data ? html`<section class="card flush"><${Grid} label="Prompts" columns=${columns} rows=${rows} sort=${sort} onSort=${(/** @type {string} */ next) => site.set({ sort: next === '-cost' ? '' : next })} keyOf=${keyOf} hrefOf=${(/** @type {any} */ row) => site.href(pageOf(row))} onRow=${(/** @type {any} */ row) => site.go(pageOf(row))} current=${at} stale=${stale} empty="No request of this period names a prompt." /></section>` : !error && html`<div class="waiting tall"></div>`}</div>`;
}

/** @type {{ title: string, pick: (point: any) => number, format: (value: number) => string, kind: 'bars' | 'lines' }[]} */
const CHARTS = [
  { title: 'Spend by version', pick: (point) => Number(point.cost), format: axisMoney, kind: 'bars' },
  { title: 'Volume by version', pick: (point) => point.requests, format: compact, kind: 'bars' },
  { title: 'Mean cost of a request', pick: (point) => (point.requests ? Number(point.cost) / point.requests : 0), format: axisMoney, kind: 'lines' },
  { title: 'Mean latency', pick: (point) => point.mean_latency_us ?? 0, format: axisSpan, kind: 'lines' },
];

/** @param {{ site: any, id: string }} props */
function Prompt({ site, id }) {
  const { view, offset, utc } = site;
  const q = withCondition(view.q, 'prompt', id);
  const versions = useAsk(`/api/breakdown?${site.ask({ by: 'prompt_version', sort: '-last_at', percentiles: 'latency_us', limit: 50 }, { q })}`);
  const over = useAsk(`/api/series?${site.ask({ by: 'prompt_version', top: 6, sort: '-requests', offset_minutes: offset }, { q })}`);
  const starts = useMemo(() => over.data && startsOf(over.data, offset), [over.data, offset]);
  const charts = useMemo(() => starts && CHARTS.map(({ pick, kind, ...rest }) => {
    const series = stackOf(over.data, starts, pick, (key) => key ?? 'no version');
    // Means do not add up: there is no rest of them.
    return { ...rest, kind, series: kind === 'lines' ? series.filter(({ key }) => key !== '\0others') : series };
  }), [over.data, starts]);
  const rows = versions.data?.rows ?? [];
  const first = rows.at(-1);
  const columns = [
    { name: 'key', label: 'Version', show: (/** @type {any} */ row) => row.keys.prompt_version ?? 'no version' },
    { name: 'requests', label: 'Requests', number: true, show: (/** @type {any} */ row) => compact(row.requests) },
    { name: 'cost', label: 'Per request', number: true, show: (/** @type {any} */ row) => (row.requests ? money((Number(row.cost) / row.requests).toFixed(12)) : '–') },
    { name: 'factor', label: 'Against the oldest', number: true, show: (/** @type {any} */ row) => (first && row !== first && Number(first.cost) > 0 ? `×${((Number(row.cost) / row.requests) / (Number(first.cost) / first.requests)).toFixed(2)}` : html`<span class="none">–</span>`) },
    { name: 'in', label: 'Tokens in, mean', number: true, narrow: true, show: (/** @type {any} */ row) => tokensPer(row, 'input_tokens') },
    { name: 'out', label: 'Out, mean', number: true, narrow: true, show: (/** @type {any} */ row) => tokensPer(row, 'output_tokens') },
    { name: 'latency', label: 'p95 latency', number: true, narrow: true, show: (/** @type {any} */ row) => html`<${Span} us=${row.percentiles?.latency_us?.p95} />` },
  ];
  return html`<div class="pad"><${Title} title=${id} about=${html`<${Go} site=${site} to=${onPage(view, 'prompts')}>Prompts<//> › one prompt`}><${Go} site=${site} to=${onPage({ ...view, q }, 'requests')} class="button bordered">Requests<//><${Go} site=${site} to=${onPage({ ...view, q }, 'why')} class="button bordered">Why it moved<//><//>
    <${Trouble} error=${versions.error} what="prompts" />
    ${versions.data && html`<section class="card flush"><${Grid} label="Versions" columns=${columns} rows=${rows} keyOf=${(/** @type {any} */ row) => row.keys.prompt_version ?? ''} stale=${versions.stale} /></section>`}
    ${charts && html`<div class="charts">${charts.map((chart) => html`<section class="card"><${TimeChart} ...${chart} starts=${starts} step=${over.data.step_us} utc=${utc} height=${150} onZoom=${site.zoom} stale=${over.stale} /></section>`)}</div>`}
    <${One} site=${site} q=${q} by=${[['user', 'User'], ['model', 'Model'], ['error', 'Error']]} /></div>`;
}
