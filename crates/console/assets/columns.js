// @ts-check
// What the list of requests can show of each, and how.
import { html } from './html.js';
import { count, duration, exactMoney, fullMoment, moment, money, percent } from './format.js';
import { COST_STATES, hueOf, mayHaveCost, outcomeOf } from './outcome.js';

/**
 * A value that narrows the list to itself when clicked. Clicks are handled by the table, by these attributes.
 * @param {{ field: string, value: string | number | null | undefined, children?: any, title?: string, class?: string }} props
 */
export function Pick({ field, value, children, title, class: kind = '' }) {
  if (value === null || value === undefined || value === '') return html`<span class="none">–</span>`;
  return html`<button type="button" class=${`pick ${kind}`} data-field=${field} data-value=${value} tabindex="-1"
    title=${title ?? `Only ${field} ${value}; with Alt, all others`}>${children ?? value}</button>`;
}

/** @param {{ call: any }} props */
export function CostFigure({ call }) {
  const { cost } = call;
  if (cost.total !== null) {
    const mark = cost.estimated ? '≈ ' : '';
    return html`<span title=${exactMoney(cost.total)}>${mark}${money(cost.total)}</span>`;
  }
  const why = cost.why ?? COST_STATES[cost.status] ?? '';
  return mayHaveCost(call) ? html`<span class="unknown" title=${why}>unknown</span>` : html`<span class="none" title=${why}>–</span>`;
}

const none = html`<span class="none">–</span>`;

/** @param {any} call */
function estimated(call) {
  return call.usage?.source === 'estimated' ? '≈ ' : '';
}

/** @param {any} call @param {{ utc: boolean, now: number, tail: string }} given */
function time({ id, timing }, { utc, now, tail }) {
  const when = moment(timing.received_at, utc, now);
  return html`<a href=${`/requests/${id}${tail}`} title=${fullMoment(timing.received_at, utc)}>
    ${when.day && html`<span class="day">${when.day} </span>`}${when.clock}${!when.day && html`<span class="millis">${when.millis}</span>`}</a>`;
}

/** @param {any} call */
function outcome(call) {
  const { label, tone, about } = outcomeOf(call.outcome);
  return html`<${Pick} field="outcome" value=${call.outcome} class=${`tone-${tone}`} title=${about}>${label}<//>
    ${call.status !== null && html`<${Pick} field="status" value=${call.status} class="status" />`}`;
}

/** @param {any} call */
function input(call) {
  const { usage } = call;
  if (!usage) return none;
  const cached = usage.cache_read_tokens ? percent(usage.cache_read_tokens, usage.input_tokens) : '';
  return html`<span>${estimated(call)}${count(usage.input_tokens)}</span>
    <span class="cached" title=${cached ? `${count(usage.cache_read_tokens)} of ${count(usage.input_tokens)} read from the provider’s cache` : null}>${cached}</span>`;
}

/** @param {any} call */
function output(call) {
  const { usage } = call;
  if (!usage) return none;
  return html`<span title=${usage.reasoning_tokens ? `${count(usage.reasoning_tokens)} of them reasoning` : null}>${estimated(call)}${count(usage.output_tokens)}</span>`;
}

/** @param {any} call */
function speed({ usage, timing }) {
  const span = timing.end_us - (timing.first_token_us ?? 0);
  return usage?.output_tokens && span > 0 ? `${((usage.output_tokens * 1e6) / span).toFixed(0)}/s` : none;
}

/**
 * @typedef {{ name: string, label: string, about?: string, number?: boolean, sort?: string, width: number, show: (call: any, given: any) => any }} Column
 * @type {Column[]}
 */
export const COLUMNS = [
  { name: 'time', label: 'Time', about: 'When the call was received', sort: '', width: 132, show: time },
  { name: 'model', label: 'Model', about: 'The model that did the work', width: 0, show: (call) => html`<${Pick} field="model" value=${call.model}><i class=${`dot ${hueOf(call.provider)}`}></i>${call.model}<//>` },
  { name: 'provider', label: 'Provider', width: 108, show: (call) => html`<${Pick} field="provider" value=${call.provider} />` },
  { name: 'user', label: 'User', width: 116, show: (call) => html`<${Pick} field="user" value=${call.user} />` },
  { name: 'session', label: 'Session', width: 150, show: (call) => html`<${Pick} field="session" value=${call.session?.id} />` },
  { name: 'prompt', label: 'Prompt', width: 140, show: (call) => html`<${Pick} field="prompt" value=${call.prompt?.id} />` },
  { name: 'outcome', label: 'Outcome', about: 'How the call ended, and the HTTP status the client got', width: 132, show: outcome },
  { name: 'input', label: 'Tokens in', about: 'All tokens the model read; the percentage was read from the provider’s cache', number: true, sort: 'input_tokens', width: 112, show: input },
  { name: 'output', label: 'Tokens out', about: 'All tokens the model wrote, reasoning included', number: true, sort: 'output_tokens', width: 84, show: output },
  { name: 'cost', label: 'Cost', about: 'List price × quantity', number: true, sort: 'cost', width: 114, show: (call) => html`<${CostFigure} call=${call} />` },
  { name: 'ttft', label: 'TTFT', about: 'Time to first token: until the first content of a stream was handed to the client', number: true, sort: 'ttft_us', width: 80, show: ({ timing }) => (timing.first_token_us === null ? none : duration(timing.first_token_us)) },
  { name: 'latency', label: 'Latency', about: 'Until the call was over', number: true, sort: 'latency_us', width: 82, show: ({ timing }) => duration(timing.end_us) },
  { name: 'speed', label: 'Tokens/s', about: 'Output tokens per second of generation', number: true, sort: 'tokens_per_second', width: 88, show: speed },
  { name: 'attempts', label: 'Attempts', number: true, sort: 'attempts', width: 84, show: ({ attempts }) => String(attempts.length) },
  { name: 'cache', label: 'Cache', about: 'What our own cache said', width: 84, show: (call) => html`<${Pick} field="cache" value=${call.control?.cache?.status} />` },
  { name: 'error', label: 'Error', width: 160, show: (call) => html`<${Pick} field="error" value=${call.error?.kind} title=${call.error?.message} />` },
  { name: 'api', label: 'API', width: 150, show: (call) => html`<${Pick} field="api" value=${call.api} />` },
  { name: 'path', label: 'Step', about: 'Place in the session', width: 150, show: (call) => html`<${Pick} field="session_path" value=${call.session?.path} />` },
  { name: 'tags', label: 'Tags', width: 120, show: (call) => (call.marks?.tags?.length ? call.marks.tags.map((/** @type {string} */ tag) => html`<${Pick} field="tag" value=${tag} class="tag" />`) : none) },
];

export const USUAL = ['time', 'model', 'provider', 'user', 'outcome', 'input', 'output', 'cost', 'ttft', 'latency'];

/**
 * The columns that a view names, a property among them as `prop.Name`; the usual ones where it names none.
 * @param {string | undefined} named
 * @returns {Column[]}
 */
export function columnsOf(named) {
  const names = named ? named.split(',').filter(Boolean) : USUAL;
  const all = names.includes('time') ? names : ['time', ...names];
  return all.flatMap((name) => {
    const own = COLUMNS.find((column) => column.name === name);
    if (own) return [own];
    const property = /^prop\.(.+)$/.exec(name)?.[1];
    return property ? [{ name, label: property, width: 120, show: (/** @type {any} */ call) => html`<${Pick} field=${name} value=${call.properties[property]} />` }] : [];
  });
}
