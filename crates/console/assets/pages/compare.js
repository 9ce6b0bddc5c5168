// @ts-check
// Two requests side by side: what differs in figures, parameters and words.
import { html, useMemo } from '../html.js';
import { useAsk } from '../ask.js';
import { CostFigure } from '../columns.js';
import { diffOf } from '../diff.js';
import { count, duration, fullMoment } from '../format.js';
import { layOut } from '../json.js';
import { outcomeOf } from '../outcome.js';
import { Go, Title, Trouble } from '../parts.js';
import { change } from '../scale.js';
import { onPage } from '../view.js';

/** @param {any} body */
function linesOf(body) {
  const text = body.text ?? (body.base64 ? `${body.len} bytes, no text` : '');
  return (layOut(text)?.map(([, piece]) => piece).join('') ?? text).split('\n');
}

/** @param {{ title: string, before: any, after: any }} props */
function Difference({ title, before, after }) {
  const lines = useMemo(() => diffOf(linesOf(before), linesOf(after)), [before, after]);
  const changed = lines.filter(({ kind }) => kind !== 'same').length;
  // Of long stretches that are the same, the edges say where one is.
  const shown = lines.map((line, at) => ({ ...line, near: line.kind !== 'same' || lines.slice(Math.max(0, at - 3), at + 4).some(({ kind }) => kind !== 'same') }));
  return html`<section class="card"><h2>${title}</h2>${changed === 0 ? html`<p class="muted">The same, to the letter.</p>` : html`<pre class="code diff" tabindex="0">${shown.map(({ kind, line, near }, at) => (near ? html`<span class=${`diff-${kind}`}>${`${{ same: ' ', gone: '−', new: '+' }[kind]} ${line}\n`}</span>` : shown[at - 1]?.near && html`<span class="muted">${'  …\n'}</span>`))}</pre>`}</section>`;
}

/** @param {{ site: any }} props */
export function Compare({ site }) {
  const { a, b } = site.view.p;
  const [one, other] = [useAsk(a ? `/api/requests/${encodeURIComponent(a)}` : null), useAsk(b ? `/api/requests/${encodeURIComponent(b)}` : null)];
  if (!a || !b) return html`<div class="pad"><${Title} title="Compare" /><section class="card"><p>In the list of requests, press <kbd>c</kbd> on one and then on another.</p></section></div>`;
  const error = one.error ?? other.error;
  if (error || !one.data || !other.data) return html`<div class="pad"><${Title} title="Compare" />${error ? html`<${Trouble} error=${error} what="requests" />` : html`<div class="waiting tall"></div>`}</div>`;
  const calls = [one.data, other.data];
  /** @type {[string, (call: any) => any, ((call: any) => number | null | undefined) | null][]} */
  const rows = [
    ['Received', (call) => fullMoment(call.timing.received_at, site.utc).slice(0, 19), null],
    ['Model', (call) => call.model ?? '–', null],
    ['Provider', (call) => call.provider ?? '–', null],
    ['Outcome', (call) => `${outcomeOf(call.outcome).label} ${call.status ?? ''}`, null],
    ['Cost', (call) => html`<${CostFigure} call=${call} />`, (call) => (call.cost.total === null ? null : Number(call.cost.total))],
    ['Tokens in', (call) => (call.usage ? count(call.usage.input_tokens) : '–'), (call) => call.usage?.input_tokens],
    ['Of them cached', (call) => (call.usage ? count(call.usage.cache_read_tokens) : '–'), (call) => call.usage?.cache_read_tokens],
    ['Tokens out', (call) => (call.usage ? count(call.usage.output_tokens) : '–'), (call) => call.usage?.output_tokens],
    ['First token', (call) => duration(call.timing.first_token_us), (call) => call.timing.first_token_us],
    ['Latency', (call) => duration(call.timing.end_us), (call) => call.timing.end_us],
    ['Attempts', (call) => String(call.attempts.length), (call) => call.attempts.length],
    ['Prompt', (call) => (call.prompt ? `${call.prompt.id} ${call.prompt.version ?? ''}` : '–'), null],
    ['User', (call) => call.user ?? '–', null],
  ];
  return html`<div class="pad"><${Title} title="Compare" about="Two requests side by side"><${Go} site=${site} to=${{ ...site.view, p: { a: b, b: a } }} class="button bordered">Swap<//><${Go} site=${site} to=${onPage(site.view, 'requests')} class="button bordered">Requests<//><//>
    <section class="card flush"><div class="grid-scroll"><table class="grid-table" aria-label="Figures"><thead><tr><th scope="col"></th>${calls.map((call) => html`<th scope="col"><${Go} site=${site} to=${onPage(site.view, 'requests', { open: call.id })}>${call.id.slice(-12)}<//></th>`)}<th scope="col" class="number">Change</th></tr></thead>
      <tbody>${rows.map(([label, show, figure]) => {
        const moved = figure && change(figure(calls[1]), figure(calls[0]));
        return html`<tr><th scope="row">${label}</th>${calls.map((call) => html`<td>${show(call)}</td>`)}<td class="number muted">${moved && moved.part !== 0 ? moved.text : ''}</td></tr>`;
      })}</tbody></table></div></section>
    <${Difference} title="Request" before=${calls[0].request} after=${calls[1].request} />
    <${Difference} title="Response" before=${calls[0].response} after=${calls[1].response} /></div>`;
}
