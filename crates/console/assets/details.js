// @ts-check
import { html } from './html.js';
import { Json } from './bodies.js';
import { Copy } from './copy.js';
import { duration } from './format.js';

function Value(/** @type {any} */ { field, value, onPick, children }) {
  return html`<button type="button" class="pick" title=${`Only ${field} ${value}`} onClick=${() => onPick(field, value)}>${children ?? value}</button>`;
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
  return html`<table class="attempts"><thead><tr><th scope="col">#</th><th scope="col">Target</th><th scope="col">Status</th><th scope="col" class="number">Sent</th><th scope="col" class="number">Head</th></tr></thead>
    <tbody>${attempts.map((attempt, at) => html`<tr class=${attempt.error ? 'failed' : ''}><td>${at + 1}</td><td>${attempt.provider}${attempt.model ? ` / ${attempt.model}` : ''}
      ${attempt.error && html`<div class="attempt-error">${attempt.error.kind}: ${attempt.error.message}</div>`}</td><td>${attempt.status ?? '–'}</td>
      <td class="number">${duration(attempt.sent_us)}</td><td class="number">${duration(attempt.head_us)}</td></tr>`)}</tbody></table>`;
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
    <h3>On whose account</h3>
    <${Facts} rows=${[
      ['User', pick('user', call.user)],
      ['Session', session && pick('session', session.id)],
      ['Session path', session?.path],
      ['Session name', session?.name],
      ['Prompt', prompt && `${prompt.id}${prompt.version ? ` ${prompt.version}` : ''}`],
      ...properties.map(([name, value]) => /** @type {[string, any]} */ ([name, html`<${Value} field="property" value=${`${name}:${value}`} onPick=${onPick}>${value}<//>`])),
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
