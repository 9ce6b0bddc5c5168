// @ts-check
// Models and providers: how fast, how often wrong, and at what price.
import { html, useMemo } from '../html.js';
import { useAsk } from '../ask.js';
import { axisSpan } from '../axis.js';
import { compact, count, duration, exactMoney } from '../format.js';
import { Grid, Share } from '../grid.js';
import { HeatMap } from '../heat.js';
import { useGridKeys } from '../leaders.js';
import { hueOf, outcomeOf } from '../outcome.js';
import { Choice, Count, Go, Rate, Searched, Span, Spend, Title, Trouble } from '../parts.js';
import { aligned } from '../scale.js';
import { startsOf } from '../series.js';

const HEATS = /** @type {[string, string][]} */ ([['latency', 'Latency'], ['ttft', 'First token'], ['errors', 'Errors']]);
/** @type {Record<string, { title: string, pick: (point: any) => number | null, format: (value: number) => string }>} */
const HEAT = {
  latency: { title: 'p95 latency over time', pick: (point) => point.percentiles.latency_us.p95, format: axisSpan },
  ttft: { title: 'p95 time to first token over time', pick: (point) => point.percentiles.ttft_us.p95, format: axisSpan },
  errors: { title: 'Errors over time', pick: (point) => point.errors, format: compact },
};

/** @param {{ price: any, meter: string }} props */
function Price({ price, meter }) {
  const rate = price?.rates.find((/** @type {any} */ one) => one.meter === meter);
  if (!rate) return html`<span class="none">–</span>`;
  return html`<span title=${`${price.provider} / ${price.model}${price.special_rates ? `, and ${price.special_rates} rates for special cases` : ''}`}>${exactMoney(rate.price)}</span>`;
}

/** Which errors come from where. @param {{ site: any, rows: any[] }} props */
function Errors({ site, rows }) {
  /** @type {Map<string, Map<string, number>>} */
  const matrix = new Map();
  const sums = new Map();
  for (const { provider, errors_by_kind: kinds } of rows) {
    for (const { outcome, error, requests } of kinds) {
      const name = error ?? outcomeOf(outcome).label;
      const line = matrix.get(provider ?? 'none') ?? new Map();
      matrix.set(provider ?? 'none', line.set(name, (line.get(name) ?? 0) + requests));
      sums.set(name, (sums.get(name) ?? 0) + requests);
    }
  }
  const kinds = [...sums].sort(([, one], [, other]) => other - one).map(([name]) => name).slice(0, 9);
  if (kinds.length === 0) return html`<section class="card"><h2>Errors by provider and kind</h2><p class="muted">None in this period.</p></section>`;
  const most = Math.max(...[...matrix.values()].flatMap((line) => [...line.values()]));
  return html`<section class="card flush"><div class="card-head bar"><h2>Errors by provider and kind</h2></div><div class="grid-scroll"><table class="grid-table matrix" aria-label="Errors by provider and kind"><thead><tr><th scope="col">Provider</th>${kinds.map((kind) => html`<th scope="col" class="number">${kind}</th>`)}</tr></thead>
    <tbody>${[...matrix].map(([provider, line]) => html`<tr><th scope="row">${provider}</th>${kinds.map((kind) => html`<td class="number heated" style=${{ '--part': String(((line.get(kind) ?? 0) / most).toFixed(3)) }}>${line.get(kind) ? html`<${Go} site=${site} to=${{ ...site.requestsOf('provider', provider), q: `${site.requestsOf('provider', provider).q} error:"${kind}"` }}>${count(line.get(kind))}<//>` : html`<span class="none">0</span>`}</td>`)}</tr>`)}</tbody></table></div></section>`;
}

/** @type {Record<string, [string, string]>} */
const STATE = { closed: ['good', 'asked'], half_open: ['warn', 'being tried again'], open: ['bad', 'not asked'] };

/** @param {{ state: string, opens: number }} props */
function Standing({ state, opens }) {
  const [tone, text] = STATE[state] ?? ['warn', state];
  return html`<span class=${`tone-${tone}`}>${text}</span>${opens > 0 && html` <span class="muted">for ${duration(opens * 1000)}</span>`}`;
}

/** What the router thinks of each target and of providers’ keys, where a gateway is asked that has routed something. @param {{ site: any }} props */
function Targets({ site }) {
  const { data } = useAsk('/api/routing', site.now);
  const rows = data?.targets ?? [];
  const benched = (data?.keys ?? []).filter((/** @type {any} */ set) => set.benched > 0);
  if (rows.length === 0) return null;
  const columns = [
    { name: 'key', label: 'Target', show: (/** @type {any} */ row) => row.target },
    { name: 'state', label: 'Now', show: (/** @type {any} */ row) => html`<${Standing} state=${row.state} opens=${row.opens_in_ms} />` },
    { name: 'flight', label: 'Under way', number: true, show: (/** @type {any} */ row) => html`<${Count} value=${row.in_flight} />` },
    { name: 'asked', label: 'Asked', about: 'Since the gateway began', number: true, show: (/** @type {any} */ row) => html`<${Count} value=${row.asked} />` },
    { name: 'failed', label: 'Failed', about: 'By its own fault, since the gateway began', number: true, show: (/** @type {any} */ row) => html`<${Count} value=${row.failed} />` },
    { name: 'failing', label: 'Failing', about: 'Of late', number: true, show: (/** @type {any} */ row) => html`<${Rate} part=${row.failing_percent / 100} bad />` },
    { name: 'first', label: 'First token', about: 'Of late', number: true, narrow: true, show: (/** @type {any} */ row) => html`<${Span} us=${row.first_token_us} />` },
  ];
  return html`<section class="card flush"><div class="card-head bar"><h2>Targets as they stand</h2><span class="muted">of this gateway${data.routes.length > 0 ? `; virtual models: ${data.routes.join(', ')}` : ''}</span></div>
    <${Grid} label="Targets as they stand" columns=${columns} rows=${rows} keyOf=${(/** @type {any} */ row) => row.target} />
    ${benched.map((/** @type {any} */ set) => html`<p class="notice">${set.benched} of ${set.keys} keys of ${set.provider} are resting after they were refused.</p>`)}</section>`;
}

/** @param {{ site: any }} props */
export function Providers({ site }) {
  const { view, offset, utc } = site;
  const sort = view.p.sort ?? '-cost';
  const what = view.p.heat ?? 'latency';
  const models = useAsk(`/api/models?${site.ask({ sort, limit: 100 })}`);
  const over = useAsk(`/api/series?${site.ask({ by: 'model', top: 12, sort: '-requests', percentiles: 'latency_us,ttft_us', offset_minutes: offset })}`);
  const rows = models.data?.rows ?? [];
  const keyOf = (/** @type {any} */ row) => `${row.provider}/${row.model}`;
  const pageOf = (/** @type {any} */ row) => site.requestsOf('model', row.model ?? '');
  const at = useGridKeys({ site, rows, keyOf, onEnter: (row) => site.go(pageOf(row)) });
  const starts = useMemo(() => over.data && startsOf(over.data, offset), [over.data, offset]);
  const heat = HEAT[what] ?? HEAT.latency;
  const lines = useMemo(() => starts && over.data.series.top.filter((/** @type {any} */ one) => one.key !== null).map((/** @type {any} */ one) => ({ name: one.key, values: aligned(starts, one.points, heat.pick) })), [over.data, starts, what]);
  const most = Math.max(0, ...rows.map((/** @type {any} */ row) => Number(row.cost)));
  const columns = [
    { name: 'key', label: 'Model', show: (/** @type {any} */ row) => html`<i class=${`dot ${hueOf(row.provider)}`}></i>${row.model ?? 'none'}` },
    { name: 'provider', label: 'Provider', narrow: true, show: (/** @type {any} */ row) => row.provider && html`<button type="button" class="pick" onClick=${(/** @type {MouseEvent} */ event) => site.pick('provider', row.provider, event.altKey)}>${row.provider}</button>` },
    { name: 'cost', label: 'Spend', number: true, sort: 'cost', show: (/** @type {any} */ row) => html`<${Share} part=${most > 0 ? Number(row.cost) / most : 0}><${Spend} sums=${row} /><//>` },
    { name: 'requests', label: 'Requests', number: true, sort: 'requests', show: (/** @type {any} */ row) => html`<${Count} value=${row.requests} />` },
    { name: 'errors', label: 'Errors', number: true, sort: 'errors', show: (/** @type {any} */ row) => html`<${Rate} part=${row.error_rate} bad />` },
    { name: 'p50', label: 'p50', about: 'Latency', number: true, narrow: true, show: (/** @type {any} */ row) => html`<${Span} us=${row.percentiles.latency_us.p50} />` },
    { name: 'p95', label: 'p95', about: 'Latency', number: true, narrow: true, show: (/** @type {any} */ row) => html`<${Span} us=${row.percentiles.latency_us.p95} />` },
    { name: 'ttft', label: 'TTFT p95', number: true, narrow: true, show: (/** @type {any} */ row) => html`<${Span} us=${row.percentiles.ttft_us.p95} />` },
    { name: 'speed', label: 'Tokens/s', number: true, narrow: true, show: (/** @type {any} */ row) => (row.tokens_per_second === null ? html`<span class="none">–</span>` : row.tokens_per_second.toFixed(0)) },
    { name: 'price-in', label: 'In, 1M', about: 'List price of a million fresh input tokens', number: true, narrow: true, show: (/** @type {any} */ row) => html`<${Price} price=${row.price} meter="input_tokens" />` },
    { name: 'price-cached', label: 'Cached, 1M', about: 'List price of a million input tokens read from the provider’s cache', number: true, narrow: true, show: (/** @type {any} */ row) => html`<${Price} price=${row.price} meter="cache_read_tokens" />` },
    { name: 'price-out', label: 'Out, 1M', about: 'List price of a million output tokens', number: true, narrow: true, show: (/** @type {any} */ row) => html`<${Price} price=${row.price} meter="output_tokens" />` },
  ];
  return html`<div class="pad"><${Title} title="Models and providers" about="What each costs, how fast it answers and how often it does not" />
    <${Trouble} error=${models.error} what="models" /><${Searched} searched=${models.data?.searched} />
    ${models.data ? html`<section class="card flush"><${Grid} label="Models" columns=${columns} rows=${rows} sort=${sort} onSort=${(/** @type {string} */ next) => site.set({ sort: next === '-cost' ? '' : next })} keyOf=${keyOf} hrefOf=${(/** @type {any} */ row) => site.href(pageOf(row))} onRow=${(/** @type {any} */ row) => site.go(pageOf(row))} current=${at} stale=${models.stale} /></section>` : !models.error && html`<div class="waiting tall"></div>`}
    ${lines && lines.length > 0 && html`<section class=${`card ${over.stale ? 'stale' : ''}`}><div class="card-head"><${Choice} site=${site} name="heat" value=${what} choices=${HEATS} label="What the cells show" /></div>
      <${HeatMap} title=${heat.title} starts=${starts} step=${over.data.step_us} rows=${lines} format=${heat.format} utc=${utc} onName=${(/** @type {string} */ name) => site.go(site.requestsOf('model', name))}
        onCell=${(/** @type {string} */ name, /** @type {number} */ from) => site.go({ ...site.requestsOf('model', name), from, until: from + over.data.step_us })} /></section>`}
    ${models.data && html`<${Errors} site=${site} rows=${rows} />`}
    <${Targets} site=${site} /></div>`;
}
