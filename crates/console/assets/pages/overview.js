// @ts-check
// Where everything stands: figures against the period before, and where the money, the time and the errors went.
import { html, useMemo } from '../html.js';
import { useAsk } from '../ask.js';
import { axisMoney, axisSpan } from '../axis.js';
import { TimeChart } from '../chart.js';
import { FirstSteps } from '../empty.js';
import { compact, count, duration, exactMoney, money } from '../format.js';
import { Cost, Go, Searched, Title, Trouble, rateText } from '../parts.js';
import { aligned, change } from '../scale.js';
import { stackOf, startsOf } from '../series.js';
import { Beneath } from '../leaders.js';
import { onPage } from '../view.js';

const DIMENSIONS = [['model', 'Model'], ['provider', 'Provider'], ['user', 'User'], ['prompt', 'Prompt'], ['session_name', 'Session kind'], ['key', 'Key']];

/** Kinds of tokens, each counted once, in the order they are stacked. @type {[string, string, string, (point: any) => number][]} */
const TOKENS = [
  ['fresh', 'Fresh input', 'hue-0', (point) => point.input_tokens - point.cache_read_tokens - point.cache_write_tokens],
  ['read', 'Cache read', 'hue-2', (point) => point.cache_read_tokens],
  ['write', 'Cache write', 'hue-3', (point) => point.cache_write_tokens],
  ['reasoning', 'Reasoning', 'hue-6', (point) => point.reasoning_tokens],
  ['output', 'Output', 'hue-1', (point) => point.output_tokens - point.reasoning_tokens],
];
const PARTS = /** @type {[string, string][]} */ ([['p50', 'hue-0'], ['p95', 'hue-1'], ['p99', 'hue-6']]);

/** @param {{ label: string, figure: any, title?: string, now?: any, before?: any, good?: 'up' | 'down' | null, to: any, site: any, note?: any }} props */
function Tile({ label, figure, title, now, before, good = null, to, site, note }) {
  const moved = change(now, before);
  const tone = !moved || !good || Math.abs(moved.part) < 0.005 ? '' : (moved.part > 0) === (good === 'up') ? 'tone-good' : 'tone-bad';
  return html`<${Go} site=${site} to=${to} class="tile" title=${title}><span class="label">${label}</span><span class="figure">${figure}</span>
    <span class=${`delta ${tone}`}>${note ?? (moved ? html`${moved.text} <span class="muted">vs before</span>` : html`<span class="muted">nothing before</span>`)}</span><//>`;
}

/** @param {{ site: any, totals: any }} props */
function Tiles({ site, totals }) {
  const { view } = site;
  const before = totals.previous ?? null;
  const number = (/** @type {any} */ text) => (text === undefined ? undefined : Number(text));
  const tail = (/** @type {any} */ of, /** @type {string} */ name) => of?.percentiles?.[name]?.p95;
  const requests = onPage(view, 'requests');
  const tiles = [
    { label: 'Spend', figure: totals.unpriced > 0 ? html`${money(totals.cost)} <span class="unknown" title=${`The cost of ${count(totals.unpriced)} requests is unknown and not part of it`}>+?</span>` : money(totals.cost), title: `${exactMoney(totals.cost)}: why it moved`, now: number(totals.cost), before: number(before?.cost), good: 'down', to: onPage(view, 'why') },
    { label: 'Requests', figure: compact(totals.requests), title: count(totals.requests), now: totals.requests, before: before?.requests, to: requests },
    { label: 'Errors', figure: totals.error_rate === null ? '–' : rateText(totals.error_rate), title: `${count(totals.errors)} of ${count(totals.requests)}`, now: totals.error_rate, before: before?.error_rate, good: 'down', to: site.requestsOf('failed', 'true') },
    { label: 'p95 latency', figure: duration(tail(totals, 'latency_us') ?? null), now: tail(totals, 'latency_us'), before: tail(before, 'latency_us'), good: 'down', to: { ...requests, p: { sort: '-latency_us' } } },
    { label: 'p95 first token', figure: duration(tail(totals, 'ttft_us') ?? null), now: tail(totals, 'ttft_us'), before: tail(before, 'ttft_us'), good: 'down', to: { ...requests, p: { sort: '-ttft_us' } } },
    { label: 'Saved by cache', figure: money(totals.saved), title: exactMoney(totals.saved), now: number(totals.saved), before: number(before?.saved), good: 'up', to: onPage(view, 'cache'),
      note: totals.cache_asked === 0 ? html`<span class="muted">cache not asked</span>` : html`${rateText(totals.cache_rate)} <span class="muted">served</span>` },
  ];
  return html`<div class="tiles">${tiles.map((tile) => html`<${Tile} site=${site} ...${tile} />`)}<${Month} site=${site} /></div>`;
}

/** Where the month will end. @param {{ site: any }} props */
function Month({ site }) {
  const { data } = useAsk(`/api/forecast?${new URLSearchParams({ offset_minutes: String(site.offset), ...(site.view.q ? { q: site.view.q } : {}) })}`, Math.floor(site.now / 300_000));
  if (!data) return html`<${Tile} site=${site} label="This month" figure="…" to=${onPage(site.view, 'why')} note=${' '} />`;
  const { forecast } = data;
  return html`<${Tile} site=${site} label="This month" figure=${forecast ? `≈ ${money(forecast.expected)}` : money(data.spent)} to=${onPage(site.view, 'why')}
    title=${forecast ? `Four of five times between ${money(forecast.low)} and ${money(forecast.high)}` : `A forecast needs ${data.needs_days} days`}
    note=${html`${forecast ? html`${money(data.spent)} <span class="muted">so far</span>` : html`<span class="muted">so far; forecast from ${data.needs_days} days on</span>`}`} />`;
}

/** The values whose bill moved most. @param {{ site: any }} props */
function Changed({ site }) {
  const [open] = [site.view.from !== null || site.view.range !== 'all'];
  const { data, error, stale } = useAsk(open ? `/api/why?${site.ask({ top: 3 })}` : null);
  if (!open) return html`<section class="card"><h2>What changed</h2><p class="muted">All time has no period before it. Choose a range.</p></section>`;
  const movers = (data?.contributors ?? []).flatMap((/** @type {any} */ { top }) => top).filter((/** @type {any} */ { change }) => /[1-9]/.test(change))
    .sort((/** @type {any} */ one, /** @type {any} */ other) => Math.abs(Number(other.excess)) - Math.abs(Number(one.excess))).slice(0, 7);
  return html`<section class=${`card ${stale ? 'stale' : ''}`}><div class="card-head"><h2>What changed</h2><${Go} site=${site} to=${onPage(site.view, 'why')}>Why the bill moved →<//></div>
    <${Trouble} error=${error} what="the reasons of a change" />
    ${data && html`<p class="lead"><b class=${Number(data.change) > 0 ? 'tone-bad' : 'tone-good'}><${Cost} amount=${data.change} sign /></b> against the period before${data.cause ? html`, most of all <${Mover} site=${site} mover=${data.cause} />` : ''}.</p>
      <ul class="movers">${movers.map((/** @type {any} */ mover) => html`<li><${Mover} site=${site} mover=${mover} /><span class=${`number ${Number(mover.change) > 0 ? 'tone-bad' : 'tone-good'}`}><${Cost} amount=${mover.change} sign /></span></li>`)}</ul>
      ${movers.length === 0 && html`<p class="muted">Nothing stands out.</p>`}`}</section>`;
}

/** A value that moved, leading to its requests. @param {{ site: any, mover: any, bare?: boolean }} props */
export function Mover({ site, mover, bare = false }) {
  const { field, value } = mover;
  const [id, version] = field === 'prompt' ? value.split(/@(?=[^@]*$)/) : [value];
  const to = site.requestsOf(field, id);
  return html`<${Go} site=${site} to=${version ? { ...to, q: `${to.q} prompt_version:"${version}"` } : to} class="mover">${!bare && html`<span class="field">${field.replace(/^prop\./, '').replace('_', ' ')}</span> `}${site.nameOf(field, value)}<//>`;
}

/** @param {{ site: any }} props */
export function Overview({ site }) {
  const { view, offset, utc } = site;
  const by = view.p.by ?? 'model';
  const names = useAsk('/api/properties?limit=8').data?.properties ?? [];
  const dimensions = /** @type {[string, string][]} */ ([...DIMENSIONS, ...names.map((/** @type {any} */ { name }) => [`prop.${name}`, name])]);
  const compared = view.range === 'all' && view.from === null ? {} : { compare: 'previous' };
  const totals = useAsk(`/api/totals?${site.ask({ percentiles: 'latency_us,ttft_us', ...compared })}`);
  const spend = useAsk(`/api/series?${site.ask({ by, top: 7, sort: '-cost', offset_minutes: offset })}`);
  const times = useAsk(`/api/series?${site.ask({ percentiles: 'latency_us,ttft_us', offset_minutes: offset })}`);
  const errors = useAsk(`/api/series?${site.ask({ by: 'error', top: 7, sort: '-requests', offset_minutes: offset }, { q: `${view.q} failed:true`.trim() })}`);
  const ever = useAsk(totals.data?.requests === 0 && !view.q ? '/api/totals' : null).data;

  const starts = useMemo(() => spend.data && startsOf(spend.data, offset), [spend.data, offset]);
  const bySpend = useMemo(() => starts && stackOf(spend.data, starts, (point) => Number(point.cost), (key) => (key === null ? 'without' : site.nameOf(by, key)), (key) => site.pick(by, key)), [spend.data, starts, site]);
  const byTokens = useMemo(() => starts && TOKENS.map(([key, label, hue, pick]) => ({ key, label, hue, values: aligned(starts, spend.data.points, (point) => Math.max(0, pick(point))) })).filter(({ values }) => values.some(Boolean)), [spend.data, starts]);
  const timeStarts = useMemo(() => times.data && startsOf(times.data, offset), [times.data, offset]);
  const lines = (/** @type {string} */ name) => PARTS.map(([part, hue]) => ({ key: part, label: part, hue, values: aligned(timeStarts ?? [], times.data.points, (point) => point.percentiles[name][part]) }));
  const volume = useMemo(() => timeStarts && [
    { key: 'good', label: 'Went well', hue: 'hue-good', values: aligned(timeStarts, times.data.points, (point) => point.requests - point.errors) },
    { key: 'bad', label: 'Went wrong', hue: 'hue-bad', values: aligned(timeStarts, times.data.points, (point) => point.errors), pick: () => site.pick('failed', 'true') },
  ], [times.data, timeStarts, view]);
  const latency = useMemo(() => timeStarts && lines('latency_us'), [times.data, timeStarts]);
  const ttft = useMemo(() => timeStarts && lines('ttft_us'), [times.data, timeStarts]);
  const errorStarts = useMemo(() => errors.data && startsOf(errors.data, offset), [errors.data, offset]);
  const byError = useMemo(() => errorStarts && stackOf(errors.data, errorStarts, (point) => point.requests, (key) => key ?? 'without a name', (key) => site.pick('error', key)), [errors.data, errorStarts, view]);

  if (ever?.requests === 0) return html`<${FirstSteps} />`;
  const chart = (/** @type {any} */ asked, /** @type {any} */ at, /** @type {any} */ series, /** @type {any} */ more) => (at && series ? html`<${TimeChart} starts=${at} step=${asked.data.step_us} series=${series} utc=${utc} onZoom=${site.zoom} stale=${asked.stale} ...${more} />` : html`<figure class="chart"><figcaption><h2>${more.title}</h2></figcaption><div class="plot waiting">${asked.error?.message}</div></figure>`);
  const select = html`<label class="by">by <select value=${by} onChange=${(/** @type {any} */ event) => site.set({ by: event.target.value === 'model' ? '' : event.target.value }, true)} aria-label="Stack the spend by">${dimensions.map(([name, label]) => html`<option value=${name} selected=${name === by}>${label}</option>`)}</select></label>`;
  return html`<div class="pad">
    <${Title} title="Overview">${select}<//>
    <${Trouble} error=${totals.error} what="sums" />
    <${Searched} searched=${totals.data?.searched} />
    ${totals.data ? html`<div class=${totals.stale ? 'stale' : ''}><${Tiles} site=${site} totals=${totals.data} /></div>` : html`<div class="tiles waiting"></div>`}
    <div class="charts">
      <section class="card wide">${chart(spend, starts, bySpend, { title: `Spend by ${dimensions.find(([name]) => name === by)?.[1].toLowerCase() ?? by}`, format: axisMoney, height: 220 })}</section>
      <${Changed} site=${site} />
      <section class="card">${chart(spend, starts, byTokens, { title: 'Tokens by kind', format: compact })}</section>
      <section class="card">${chart(times, timeStarts, latency, { title: 'Latency', kind: 'lines', format: axisSpan })}</section>
      <section class="card">${chart(times, timeStarts, ttft, { title: 'Time to first token', kind: 'lines', format: axisSpan })}</section>
      <section class="card">${chart(times, timeStarts, volume, { title: 'Requests', format: compact })}</section>
      <section class="card">${byError?.length === 0 ? html`<h2>Errors by kind</h2><p class="muted nothing">No errors in this period.</p>` : chart(errors, errorStarts, byError, { title: 'Errors by kind', format: compact })}</section>
      <${Beneath} site=${site} q=${view.q} field="user" heading="User" />
    </div></div>`;
}

