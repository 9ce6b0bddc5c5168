// @ts-check
// Limits and budgets as they stand, and who was refused.
import { html } from '../html.js';
import { useAsk } from '../ask.js';
import { TimeChart } from '../chart.js';
import { compact, count, fullMoment, money, percent } from '../format.js';
import { Cost, Go, Searched, Title, Trouble } from '../parts.js';
import { stackOf, startsOf } from '../series.js';

/** How full a budget is. @param {{ account: any, utc: boolean }} props */
function Account({ account, utc }) {
  const { budget, scope, amount, spent, reserved, remaining, resets_at: resets } = account;
  const part = Math.min(1, (Number(spent) + Number(reserved)) / (Number(amount) || 1));
  return html`<tr><th scope="row">${budget}</th><td>${scope.replace(/^property:/, '').replaceAll(':', ': ')}</td><td class="meter-cell"><span class="meter" role="meter" aria-valuemin="0" aria-valuemax="1" aria-valuenow=${part.toFixed(3)} aria-label=${`${scope}: ${money(spent)} of ${money(amount)}`}><i class=${part >= 1 ? 'full' : part >= 0.8 ? 'near' : ''} style=${{ width: `${part * 100}%` }}></i></span></td>
    <td class="number"><${Cost} amount=${spent} /></td><td class="number narrow"><${Cost} amount=${reserved} /></td><td class="number"><${Cost} amount=${amount} /></td><td class="number"><${Cost} amount=${remaining} /></td><td class="narrow">${fullMoment(resets, utc).slice(0, 16)}</td></tr>`;
}

/** @param {{ now: any, utc: boolean }} props */
function Standing({ now, utc }) {
  if (now === null || now === undefined) return html`<section class="card"><p class="muted">This gateway tells nothing of limits and budgets as they stand; what was refused is below.</p></section>`;
  const { policies = [], accounts = [], budgets = [], counts, buckets, shared } = now;
  return html`<section class="card flush whole"><div class="card-head bar"><h2>Budgets</h2><span class="muted">${shared ? 'shared with other gateways' : 'of this gateway alone'}</span></div>
      ${accounts.length ? html`<div class="grid-scroll"><table class="grid-table" aria-label="Budgets"><thead><tr><th scope="col">Budget</th><th scope="col">Whose</th><th scope="col">Used</th><th scope="col" class="number">Spent</th><th scope="col" class="number narrow">Reserved</th><th scope="col" class="number">Of</th><th scope="col" class="number">Left</th><th scope="col" class="narrow">Until</th></tr></thead><tbody>${accounts.map((/** @type {any} */ account) => html`<${Account} account=${account} utc=${utc} />`)}</tbody></table></div>`
        : html`<p class="muted nothing">${budgets.length ? `${budgets.length} in force, none used yet.` : 'None in force. Set `budgets` in tachograph.yaml to have some.'}</p>`}</section>
    <section class="card whole"><h2>Rate limits</h2>${policies.length ? html`<ul>${policies.map((/** @type {string} */ policy) => html`<li><code>${policy}</code></li>`)}</ul>` : html`<p class="muted">None for every call. A call may bring its own: <code>Helicone-RateLimit-Policy: 100;w=60;s=user</code>.</p>`}
      ${buckets > 0 && html`<p class="muted">${count(buckets)} buckets are not full now.</p>`}
      ${counts && html`<dl class="totals">${Object.entries(counts).filter(([, value]) => typeof value === 'number').map(([name, value]) => html`<div><dt>${name.replaceAll('_', ' ')}</dt><dd>${compact(Number(value))}</dd></div>`)}</dl>`}</section>`;
}

/** @param {{ site: any }} props */
export function Limits({ site }) {
  const { utc, offset } = site;
  const { data, error, stale } = useAsk(`/api/limits?${site.ask()}`);
  const over = useAsk(data?.refused > 0 ? `/api/series?${site.ask({ by: 'error', top: 6, sort: '-requests', offset_minutes: offset }, { q: `${site.view.q} outcome:refused`.trim() })}` : null);
  const starts = over.data && startsOf(over.data, offset);
  const table = (/** @type {string} */ title, /** @type {string} */ field, /** @type {any[]} */ rows) => html`<section class="card flush"><div class="card-head bar"><h2>${title}</h2></div>
    <table class="grid-table" aria-label=${title}><tbody>${rows.map(({ keys, requests }) => html`<tr><td>${keys[field] === null ? html`<span class="none">without</span>` : html`<${Go} site=${site} to=${{ ...site.requestsOf(field, keys[field]), q: `${site.requestsOf(field, keys[field]).q} outcome:refused` }}>${site.nameOf(field, keys[field])}<//>`} ${field === 'error' && keys.status && html`<span class="muted">${keys.status}</span>`}</td><td class="number">${count(requests)}</td><td class="number muted">${percent(requests, data.refused)}</td></tr>`)}</tbody></table></section>`;
  return html`<div class="pad"><${Title} title="Limits and budgets" about="What is in force, how full it is, and who met it" />
    <${Trouble} error=${error} what="limits" /><${Searched} searched=${data?.searched} />
    ${data && html`<div class=${`charts ${stale ? 'stale' : ''}`}><${Standing} now=${data.now} utc=${utc} /></div>
      <dl class="totals card-line"><div><dt>Refused</dt><dd>${count(data.refused)}</dd></div></dl>
      ${data.refused === 0 && html`<p class="muted">Nothing was refused in this period.</p>`}
      ${starts && html`<section class="card"><${TimeChart} title="Refused, by reason" starts=${starts} step=${over.data.step_us} series=${stackOf(over.data, starts, (point) => point.requests, (key) => key ?? 'without a name', (key) => site.pick('error', key))} utc=${utc} format=${compact} height=${150} onZoom=${site.zoom} /></section>`}
      ${data.refused > 0 && html`<div class="charts">${table('By reason', 'error', data.by_reason)}${table('By user', 'user', data.by_user)}${table('By key', 'key', data.by_key)}</div>`}`}</div>`;
}
