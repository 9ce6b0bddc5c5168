// @ts-check
import { html } from './html.js';
import { Json } from './bodies.js';
import { Copy } from './copy.js';
import { duration, exactMoney, money } from './format.js';

function Value(/** @type {any} */ { field, value, onPick, children }) {
  return html`<button type="button" class="pick" title=${`Only ${field} ${value}; with Alt, all others`} onClick=${(/** @type {MouseEvent} */ event) => onPick(field, String(value), event.altKey)}>${children ?? value}</button>`;
}

/** @param {{ rows: [string, any][] }} props */
function Facts({ rows }) {
  const known = rows.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false);
  return html`<dl class="facts">${known.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function Identifier(/** @type {{ value: string | null, name: string }} */ { value, name }) {
  return value && html`<span class="identifier"><code>${value}</code><${Copy} text=${value} name=${name} /></span>`;
}

function Attempts(/** @type {{ attempts: any[] }} */ { attempts }) {
  if (attempts.length === 0) return html`<p class="muted">No provider was asked.</p>`;
  return html`<table class="attempts"><thead><tr><th scope="col">#</th><th scope="col">Target</th><th scope="col">Status</th><th scope="col" class="number">Sent</th><th scope="col" class="number">Head</th><th scope="col" class="number">End</th><th scope="col" class="number">Cost</th></tr></thead>
    <tbody>${attempts.map((attempt, at) => html`<tr class=${attempt.error ? 'failed' : ''}><td>${at + 1}</td><td>${attempt.provider}${attempt.model ? ` / ${attempt.model}` : ''}
      ${attempt.error && html`<div class="attempt-error">${attempt.error.kind}: ${attempt.error.message}</div>`}</td><td>${attempt.status ?? '–'}</td>
      <td class="number">${duration(attempt.sent_us)}</td><td class="number">${duration(attempt.head_us)}</td>
      <td class="number">${duration(attempt.end_us)}</td><td class="number">${attempt.cost ? html`<span title=${exactMoney(attempt.cost)}>${money(attempt.cost)}</span>` : '–'}</td></tr>`)}</tbody></table>`;
}

/** @type {Record<string, string>} */
const VERDICTS = { hit: 'Served from a stored answer', miss: 'Asked, but there was no stored answer', joined: 'Served from an identical call under way', semantic: 'Served from the answer to a call of the same meaning' };

/** What the gateway itself decided. @param {{ control: any }} props */
function Decided({ control }) {
  const { cache, limits = [], notes = [] } = control ?? {};
  if (!cache && limits.length === 0 && notes.length === 0) return null;
  return html`<h3>What the gateway decided</h3>
    ${cache && html`<${Facts} rows=${[
      ['Cache', VERDICTS[cache.status] ?? cache.status],
      ['Answer of', cache.source && html`<a href=${`/requests/${cache.source}`}>${cache.source}</a>`],
      ['Saved', cache.saved && html`<span title=${exactMoney(cache.saved)}>${money(cache.saved)}</span>`],
      ['Time saved', cache.saved_us && duration(cache.saved_us)],
    ]} />`}
    ${limits.length > 0 && html`<table class="attempts"><thead><tr><th scope="col">Limit</th><th scope="col">Whose</th><th scope="col">Verdict</th><th scope="col" class="number">Left</th></tr></thead>
      <tbody>${limits.map((/** @type {any} */ one) => html`<tr class=${one.verdict === 'denied' ? 'failed' : ''}><td><code>${one.limit}</code></td><td>${one.scope}</td><td>${one.verdict}</td><td class="number">${one.remaining ?? '–'}</td></tr>`)}</tbody></table>`}
    ${notes.length > 0 && html`<ul class="decided">${notes.map((/** @type {string} */ note) => html`<li>${note}</li>`)}</ul>`}`;
}

/**
 * Everything else that is known of a call.
 * @param {{ call: any, onPick: (field: string, value: string) => void }} props
 */
export function Details({ call, onPick }) {
  const { session, prompt } = call;
  const properties = Object.entries(call.properties);
  const pick = (/** @type {string} */ field, /** @type {any} */ value) => value !== null && value !== undefined && html`<${Value} field=${field} value=${value} onPick=${onPick} />`;
  return html`<div class="details">
    <h3>Attempts</h3><${Attempts} attempts=${call.attempts} />
    <${Decided} control=${call.control} />
    <h3>On whose account</h3>
    <${Facts} rows=${[
      ['User', pick('user', call.user)],
      ['Session', session && html`${pick('session', session.id)} <a class="beside-link" href=${`/sessions/${encodeURIComponent(session.id)}`}>open</a>`],
      ['Session path', session?.path && pick('session_path', session.path)],
      ['Session name', session?.name],
      ['Prompt', prompt && pick('prompt', prompt.id)],
      ['Prompt version', prompt?.version && pick('prompt_version', prompt.version)],
      ...properties.map(([name, value]) => /** @type {[string, any]} */ ([name, html`<${Value} field=${`prop.${name}`} value=${value} onPick=${onPick} />`])),
      ['Key', call.key && html`<${Identifier} value=${call.key} name="the key’s id" />`],
    ]} />
    <h3>What was asked</h3>
    <${Facts} rows=${[
      ['Request', html`<code>${call.method} ${call.path}</code>`],
      ['API', call.api],
      ['Model asked for', pick('model', call.requested_model)],
      ['Model that answered', pick('model', call.model)],
      ['Stream', call.stream ? 'yes' : 'no'],
      ['Service tier', call.service_tier],
      ['Finish reason', call.finish_reason],
    ]} />
    ${Object.keys(call.parameters).length > 0 && html`<h3>Parameters</h3><${Json} text=${JSON.stringify(call.parameters)} />`}
    <h3>Ids</h3>
    <${Facts} rows=${[
      ['Request', html`<${Identifier} value=${call.id} name="the request’s id" />`],
      ['Trace', call.trace_id && html`<${Identifier} value=${call.trace_id} name="the trace’s id" />`],
      ['Parent span', call.parent_span_id && html`<${Identifier} value=${call.parent_span_id} name="the parent span’s id" />`],
    ]} />
  </div>`;
}
