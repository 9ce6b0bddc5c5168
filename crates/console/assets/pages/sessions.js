// @ts-check
// Sessions: the list, and one of them step by step.
import { html } from '../html.js';
import { useAsk } from '../ask.js';
import { duration, moment } from '../format.js';
import { Grid, Share } from '../grid.js';
import { useGridKeys } from '../leaders.js';
import { Count, Rate, Searched, Span, Spend, Title, Trouble } from '../parts.js';
import { Session } from '../session.js';
import { onPage } from '../view.js';

/** @param {{ site: any }} props */
export function Sessions({ site }) {
  return site.view.id === null ? html`<${List} site=${site} />` : html`<${Session} key=${site.view.id} site=${site} />`;
}

/** @param {{ site: any }} props */
function List({ site }) {
  const { view, utc, now } = site;
  const sort = view.p.sort ?? '-last_at';
  const { data, error, stale } = useAsk(`/api/sessions?${site.ask({ sort, limit: 200 })}`);
  const rows = data?.rows ?? [];
  const keyOf = (/** @type {any} */ row) => row.session;
  const pageOf = (/** @type {any} */ row) => onPage(view, 'sessions', { id: row.session });
  const at = useGridKeys({ site, rows, keyOf, onEnter: (row) => site.go(pageOf(row)) });
  const most = Math.max(0, ...rows.map((/** @type {any} */ row) => Number(row.cost)));
  const when = (/** @type {number} */ micros) => {
    const { day, clock } = moment(micros, utc, now * 1000);
    return `${day ? `${day} ` : ''}${clock}`;
  };
  const columns = [
    { name: 'key', label: 'Session', show: (/** @type {any} */ row) => row.session },
    { name: 'kind', label: 'Kind', show: (/** @type {any} */ row) => row.name && html`<button type="button" class="pick" onClick=${(/** @type {MouseEvent} */ event) => site.pick('session_name', row.name, event.altKey)}>${row.name}</button>` },
    { name: 'last', label: 'Last step', sort: 'last_at', show: (/** @type {any} */ row) => when(row.last_at) },
    { name: 'took', label: 'Took', about: 'From the first step to the start of the last', number: true, narrow: true, show: (/** @type {any} */ row) => (row.last_at > row.first_at ? duration(row.last_at - row.first_at) : html`<span class="none">–</span>`) },
    { name: 'steps', label: 'Steps', number: true, sort: 'requests', show: (/** @type {any} */ row) => html`<${Count} value=${row.requests} />` },
    { name: 'cost', label: 'Spend', number: true, sort: 'cost', show: (/** @type {any} */ row) => html`<${Share} part=${most > 0 ? Number(row.cost) / most : 0}><${Spend} sums=${row} /><//>` },
    { name: 'tokens', label: 'Tokens', number: true, narrow: true, sort: 'tokens', show: (/** @type {any} */ row) => html`<${Count} value=${row.input_tokens + row.output_tokens} />` },
    { name: 'errors', label: 'Errors', number: true, sort: 'errors', show: (/** @type {any} */ row) => html`<${Rate} part=${row.error_rate} bad />` },
    { name: 'latency', label: 'Mean latency', number: true, narrow: true, sort: 'latency', show: (/** @type {any} */ row) => html`<${Span} us=${row.mean_latency_us} />` },
  ];
  return html`<div class="pad"><${Title} title="Sessions" about="Requests that name one session (Helicone-Session-Id, or a trace)" />
    <${Trouble} error=${error} what="sessions" /><${Searched} searched=${data?.searched} />
    ${data ? html`<section class="card flush"><${Grid} label="Sessions" columns=${columns} rows=${rows} sort=${sort} onSort=${(/** @type {string} */ next) => site.set({ sort: next === '-last_at' ? '' : next })} keyOf=${keyOf} hrefOf=${(/** @type {any} */ row) => site.href(pageOf(row))} onRow=${(/** @type {any} */ row) => site.go(pageOf(row))} current=${at} stale=${stale} empty="No request of this period names a session." />
      ${data.more && html`<p class="muted nothing">The first ${rows.length} are shown; filter to see others.</p>`}</section>` : !error && html`<div class="waiting tall"></div>`}</div>`;
}
