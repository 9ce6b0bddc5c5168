// @ts-check
// Whether everything is recorded, stored and priced.
import { html } from '../html.js';
import { useAsk } from '../ask.js';
import { bytes, compact, count, fullMoment } from '../format.js';
import { Grid } from '../grid.js';
import { Count, Go, Title, Trouble } from '../parts.js';

/** @param {{ tone: string, title: string, children?: any }} props */
function Verdict({ tone, title, children }) {
  return html`<section class=${`card verdict verdict-${tone}`}><h2><i class="dot"></i>${title}</h2><p>${children}</p></section>`;
}

/** What the gateway's facts come to. @param {any} facts @param {boolean} utc @returns {{ tone: string, title: string, text: string }[]} */
export function verdictsOf(facts, utc) {
  const verdicts = [];
  const dropped = Number(facts.dropped ?? 0);
  verdicts.push(dropped > 0 ? { tone: 'bad', title: 'Records were lost', text: `${count(dropped)} since the gateway began.` } : { tone: 'good', title: 'No record was lost', text: facts.interrupted ? `${count(facts.interrupted)} calls were under way when a process died; they are recorded as interrupted.` : 'Since the gateway began.' });
  if (facts.complete_to !== undefined) {
    const lag = Number(facts.lag_seconds ?? 0);
    verdicts.push({ tone: lag > 300 ? 'bad' : lag > 30 ? 'warn' : 'good', title: lag > 30 ? `The record is ${compact(lag)} s behind` : 'The record is complete', text: `All calls received before ${fullMoment(facts.complete_to, utc).slice(0, 19)} are in the store.` });
  }
  const failing = Number(facts.store_failures_in_a_row ?? 0);
  const queued = Number(facts.queue_depth ?? 0);
  verdicts.push(failing > 0 ? { tone: 'bad', title: 'The store does not take records', text: `${count(failing)} failures in a row; ${count(queued)} records wait and are kept.` } : { tone: queued > 1000 ? 'warn' : 'good', title: 'The store takes records', text: queued ? `${count(queued)} wait.` : 'None waits.' });
  if (facts.spool_bytes !== undefined) verdicts.push({ tone: facts.spool_full ? 'bad' : 'good', title: facts.spool_full ? 'The spool is full' : 'The spool has room', text: `${bytes(Number(facts.spool_bytes))} held on disk until they are stored.` });
  if (Number(facts.quarantined ?? 0) > 0) verdicts.push({ tone: 'warn', title: 'Records were set aside', text: `${count(facts.quarantined)} could not be stored or read; they are kept in the spool’s folder.` });
  const faults = Number(facts.price_faults ?? 0);
  verdicts.push(faults > 0 ? { tone: 'warn', title: 'Price files have faults', text: `${count(faults)}; older prices are in force. The log names them.` } : { tone: 'good', title: 'Prices are in order', text: `Version ${facts.price_version ?? 'unknown'}.` });
  return verdicts;
}

/** @param {{ site: any }} props */
export function HealthPage({ site }) {
  const { utc, view } = site;
  const { data, error } = useAsk('/api/health', site.now);
  const unpriced = useAsk(`/api/breakdown?${site.ask({ by: 'provider,model', sort: '-requests', limit: 100 }, { q: `${view.q} cost_state:unknown_model,invalid_usage`.trim() })}`);
  const rows = unpriced.data?.rows ?? [];
  const columns = [
    { name: 'key', label: 'Model', show: (/** @type {any} */ row) => html`<${Go} site=${site} to=${site.requestsOf('model', row.keys.model ?? '', `${view.q} cost_state:unknown_model,invalid_usage`.trim())}>${row.keys.model ?? 'none'}<//>` },
    { name: 'provider', label: 'Provider', show: (/** @type {any} */ row) => row.keys.provider },
    { name: 'requests', label: 'Requests', number: true, show: (/** @type {any} */ row) => html`<${Count} value=${row.requests} />` },
    { name: 'tokens', label: 'Tokens', number: true, show: (/** @type {any} */ row) => html`<${Count} value=${row.input_tokens + row.output_tokens} />` },
  ];
  return html`<div class="pad"><${Title} title="Health" about="Whether everything is recorded, stored and priced" />
    <${Trouble} error=${error} what="health" />
    ${data && html`<div class="charts three">${verdictsOf(data, utc).map(({ tone, title, text }) => html`<${Verdict} tone=${tone} title=${title}>${text}<//>`)}</div>`}
    <section class="card flush"><div class="card-head bar"><h2>Models without a price in this period</h2></div>${unpriced.error ? html`<${Trouble} error=${unpriced.error} what="sums" />` : html`<${Grid} label="Models without a price" columns=${columns} rows=${rows} keyOf=${(/** @type {any} */ row) => `${row.keys.provider}/${row.keys.model}`} empty="Every request that used something has a cost." />`}
      ${rows.length > 0 && html`<p class="muted nothing">Their cost is unknown, not nothing. Add a price in a file of <code>pricing.overlays</code>, then run <code>gateway reprice</code>.</p>`}</section>
    ${data && html`<details class="card"><summary>All facts, as <a href="/api/health">/api/health</a> tells them</summary><dl class="facts">${Object.entries(data).map(([name, value]) => html`<div><dt>${name}</dt><dd><code>${typeof value === 'object' ? JSON.stringify(value) : String(value)}</code></dd></div>`)}</dl></details>`}</div>`;
}
