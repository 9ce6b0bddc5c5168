// @ts-check
// What our own cache served, and what the providers' caches did.
import { html, useMemo } from '../html.js';
import { useAsk } from '../ask.js';
import { axisMoney } from '../axis.js';
import { TimeChart } from '../chart.js';
import { compact, duration } from '../format.js';
import { Grid } from '../grid.js';
import { Cost, Count, Rate, Searched, Title, Trouble } from '../parts.js';
import { aligned } from '../scale.js';
import { startsOf } from '../series.js';

/** @type {Record<string, string>} */
const STATUS = { hit: 'Hit', miss: 'Miss', joined: 'Joined a call under way', semantic: 'Hit by meaning' };

/** @param {{ site: any }} props */
export function Cache({ site }) {
  const { offset, utc } = site;
  const { data, error, stale } = useAsk(`/api/cache?${site.ask()}`);
  const over = useAsk(`/api/series?${site.ask({ offset_minutes: offset })}`);
  const starts = useMemo(() => over.data && startsOf(over.data, offset), [over.data, offset]);
  const line = (/** @type {string} */ label, /** @type {string} */ hue, /** @type {(point: any) => number} */ pick) => ({ key: label, label, hue, values: aligned(starts ?? [], over.data.points, pick) });
  const used = data && data.totals.cache_asked > 0;
  const columns = (/** @type {string} */ label, /** @type {(row: any) => any} */ show) => [
    { name: 'key', label, show },
    { name: 'requests', label: 'Requests', number: true, show: (/** @type {any} */ row) => html`<${Count} value=${row.requests} />` },
    { name: 'served', label: 'Served', number: true, show: (/** @type {any} */ row) => html`<${Rate} part=${row.cache_rate} />` },
    { name: 'saved', label: 'Saved', number: true, show: (/** @type {any} */ row) => html`<${Cost} amount=${row.saved} />` },
    { name: 'time', label: 'Time saved', number: true, narrow: true, show: (/** @type {any} */ row) => duration(row.saved_us) },
  ];
  return html`<div class="pad"><${Title} title="Cache" about="What was answered without asking a provider, and what providers read from their own caches" />
    <${Trouble} error=${error} what="the cache" /><${Searched} searched=${data?.searched} />
    ${data && html`<dl class=${`totals card-line ${stale ? 'stale' : ''}`}><div><dt>Saved</dt><dd><${Cost} amount=${data.totals.saved} /></dd></div><div><dt>Time saved</dt><dd>${duration(data.totals.saved_us)}</dd></div>
      <div><dt>Asked</dt><dd><${Count} value=${data.totals.cache_asked} /></dd></div><div><dt>Served</dt><dd><${Rate} part=${data.totals.cache_rate} /></dd></div></dl>`}
    ${data && !used && html`<section class="card"><p>No request of this period asked our cache. A header turns it on for a request: <code>Helicone-Cache-Enabled: true</code>.</p></section>`}
    ${used && html`<div class="charts"><section class="card flush"><${Grid} label="By verdict" columns=${columns('Verdict', (row) => STATUS[row.key] ?? row.key)} rows=${data.by_status} keyOf=${(/** @type {any} */ row) => row.key} onRow=${(/** @type {any} */ row) => site.go(site.requestsOf('cache', row.key))} /></section>
      <section class="card flush"><${Grid} label="By model" columns=${columns('Model', (row) => row.key ?? 'none')} rows=${data.by_model} keyOf=${(/** @type {any} */ row) => row.key ?? ''} onRow=${(/** @type {any} */ row) => row.key && site.go(site.requestsOf('model', row.key))} /></section></div>`}
    ${starts && html`<div class="charts">
      ${used && html`<section class="card"><${TimeChart} title="Saved by our cache" starts=${starts} step=${over.data.step_us} series=${[line('Saved', 'hue-2', (point) => Number(point.saved))]} utc=${utc} format=${axisMoney} onZoom=${site.zoom} /></section>
      <section class="card"><${TimeChart} title="Asked and served" starts=${starts} step=${over.data.step_us} series=${[line('Served', 'hue-2', (point) => point.cache_served), line('Not served', 'hue-none', (point) => point.cache_asked - point.cache_served)]} utc=${utc} format=${compact} onZoom=${site.zoom} /></section>`}
      <section class="card"><${TimeChart} title="Input tokens: read from providers’ caches, and fresh" starts=${starts} step=${over.data.step_us} series=${[line('Read from a cache', 'hue-2', (point) => point.cache_read_tokens), line('Written to a cache', 'hue-3', (point) => point.cache_write_tokens), line('Fresh', 'hue-0', (point) => point.input_tokens - point.cache_read_tokens - point.cache_write_tokens)]} utc=${utc} format=${compact} onZoom=${site.zoom} stale=${over.stale} /></section>
      <section class="card"><${TimeChart} title="Paid for cached input" starts=${starts} step=${over.data.step_us} series=${[line('Reading', 'hue-2', (point) => Number(point.parts.cache_read)), line('Writing', 'hue-3', (point) => Number(point.parts.cache_write))]} utc=${utc} format=${axisMoney} onZoom=${site.zoom} stale=${over.stale} /></section></div>`}</div>`;
}
