// @ts-check
// Keys, and the configuration in force.
import { html, useState } from '../html.js';
import { sendJson } from '../api.js';
import { useAsk } from '../ask.js';
import { Copy } from '../copy.js';
import { fullMoment } from '../format.js';
import { Go, Title, Trouble } from '../parts.js';
import { onPage } from '../view.js';

/** @param {{ site: any }} props */
function Keys({ site }) {
  const [turn, setTurn] = useState(0);
  const [made, setMade] = useState(/** @type {any} */ (null));
  const [failed, setFailed] = useState(/** @type {string | null} */ (null));
  const [asking, setAsking] = useState(/** @type {string | null} */ (null));
  const { data, error } = useAsk('/api/keys', turn);
  const act = (/** @type {Promise<any>} */ done) => done.then((told) => (setFailed(null), setTurn((held) => held + 1), told)).catch((error) => setFailed(error.message));
  const make = (/** @type {any} */ event) => {
    event.preventDefault();
    const form = event.target;
    act(sendJson('POST', '/api/keys', { name: String(new FormData(form).get('name')) })).then((told) => told && (setMade(told), form.reset()));
  };
  const revoke = (/** @type {string} */ id) => (setAsking(null), act(sendJson('DELETE', `/api/keys/${id}`)));
  const state = (/** @type {any} */ { id, revoked_at: revoked, is_yours: yours }) => {
    if (revoked !== null) return html`<span class="muted">revoked ${fullMoment(revoked, site.utc).slice(0, 10)}</span>`;
    if (yours) return html`<span class="muted">the one you look with</span>`;
    return asking === id ? html`<button type="button" class="quiet bordered tone-bad" onClick=${() => revoke(id)}>Revoke for good</button> <button type="button" class="quiet" onClick=${() => setAsking(null)}>Keep</button>` : html`<button type="button" class="quiet bordered" onClick=${() => setAsking(id)}>Revoke</button>`;
  };
  return html`<section class="card flush"><div class="card-head bar"><h2>API keys</h2></div><${Trouble} error=${error} what="keys" />
    ${failed && html`<div class="notice bad" role="alert">${failed}</div>`}
    ${made && html`<div class="notice made" role="status"><p><b>The key ${made.name}</b>, shown this once:</p><p><code>${made.key}</code> <${Copy} text=${made.key} name="the new key" /></p></div>`}
    ${data && html`<div class="grid-scroll"><table class="grid-table" aria-label="API keys"><thead><tr><th scope="col">Name</th><th scope="col">Ends in</th><th scope="col" class="narrow">Made</th><th scope="col" class="narrow">Spend</th><th scope="col"></th></tr></thead>
      <tbody>${data.keys.map((/** @type {any} */ key) => html`<tr class=${key.revoked_at === null ? '' : 'revoked'}><th scope="row">${key.name}</th><td><code>…${key.hint}</code></td><td class="narrow">${fullMoment(key.made_at, site.utc).slice(0, 16)}</td><td class="narrow"><${Go} site=${site} to=${onPage({ ...site.view, q: `key:${key.id}` }, '')}>Look<//></td><td class="number">${state(key)}</td></tr>`)}</tbody></table></div>
      ${data.can_make && html`<form class="new-key" onSubmit=${make}><input class="field-input" name="name" required maxlength="200" placeholder="What will use it" aria-label="Name of the new key" /><button class="primary">Make a key</button></form>`}`}</section>`;
}

/** @param {{ name: string, value: any }} props */
function Setting({ name, value }) {
  const nested = value !== null && typeof value === 'object' && Object.keys(value).length > 0;
  if (!nested) return html`<div class="setting"><dt>${name}</dt><dd><code>${value === null ? 'not set' : typeof value === 'object' ? (Array.isArray(value) ? 'none' : '{}') : String(value)}</code></dd></div>`;
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) return html`<div class="setting"><dt>${name}</dt><dd>${value.map((one) => html`<code>${String(one)}</code> `)}</dd></div>`;
  return html`<div class="setting nested"><dt>${name}</dt><dd><dl>${Object.entries(value).map(([inner, one]) => html`<${Setting} name=${inner} value=${one} />`)}</dl></dd></div>`;
}

/** Branches of the configuration under headings that people look for. @type {[string, string[]][]} */
const GROUPS = [
  ['Providers', ['providers', 'upstream', 'routing', 'virtual_models', 'models', 'allowed_targets']],
  ['Prices', ['pricing']],
  ['What is kept, and for how long', ['logging', 'retention', 'store', 'storage', 'spool', 'data_dir']],
  ['Redaction', ['redaction', 'privacy', 'scrub']],
  ['Limits and cache', ['limits', 'budgets', 'rate_limits', 'cache']],
];

/** @param {{ site: any }} props */
export function Settings({ site }) {
  const { data, error } = useAsk('/api/settings');
  const named = new Set(GROUPS.flatMap(([, names]) => names));
  const rest = data ? Object.keys(data).filter((name) => !named.has(name)) : [];
  const group = (/** @type {string} */ title, /** @type {string[]} */ names) => {
    const there = names.filter((name) => data[name] !== undefined);
    return there.length > 0 && html`<section class="card"><h2>${title}</h2><dl class="settings">${there.map((name) => html`<${Setting} key=${name} name=${name} value=${data[name]} />`)}</dl></section>`;
  };
  return html`<div class="pad"><${Title} title="Settings" about="Keys are made here; the rest is set in tachograph.yaml and shown as it is in force, secrets hidden" />
    <${Keys} site=${site} />
    <${Trouble} error=${error} what="its configuration" />
    ${data && html`<div class="charts">${[...GROUPS, /** @type {[string, string[]]} */ (['Everything else', rest])].map(([title, names]) => group(title, names))}</div>`}</div>`;
}
