// @ts-check
// Beside the list: the most frequent values of each field, with counts.
import { html, useState } from './html.js';
import { useAsk } from './ask.js';
import { compact, count } from './format.js';
import { hueOf, outcomeOf } from './outcome.js';
import { valueOf } from './query.js';

const FIELDS = ['provider', 'model', 'outcome', 'status', 'error', 'user', 'session_name', 'prompt', 'key', 'cache', 'cost_state'];
const SHOWN = 5;
const ASKED = 12;
/** Properties that get a place of their own in the rail. */
const PROPERTIES = 5;

/** @type {Record<string, string>} */
const LABELS = { session_name: 'Session kind', cost_state: 'Cost known', error: 'Error', prompt: 'Prompt', cache: 'Cache' };

/** @param {any} site @param {string} field @param {string} value */
function textOf(site, field, value) {
  return field === 'outcome' ? outcomeOf(value).label : site.nameOf(field, value);
}

/** @param {{ site: any }} props */
export function Facets({ site }) {
  const [wide, setWide] = useState(/** @type {Record<string, boolean>} */ ({}));
  const names = useAsk(`/api/properties?limit=${PROPERTIES}`).data?.properties;
  const fields = [...FIELDS, ...(names ?? []).map((/** @type {any} */ { name }) => `prop.${name}`)];
  const { data, error, stale } = useAsk(names ? `/api/facets?${site.ask({ fields: fields.join(','), limit: ASKED })}` : null);
  if (error) return html`<aside class="facets"><p class="muted">${error.message}</p></aside>`;
  return html`<aside class=${`facets ${stale ? 'stale' : ''}`} aria-label="Values and how often they occur">${(data?.facets ?? []).map(({ field, values, more }) => {
    if (values.length === 0) return null;
    const chosen = valueOf(site.view.q, field);
    const all = wide[field] ? values : values.slice(0, SHOWN);
    const most = Math.max(...values.map((/** @type {any} */ one) => one.count));
    return html`<section><h3>${field.startsWith('prop.') ? field.slice(5) : LABELS[field] ?? field[0].toUpperCase() + field.slice(1)}</h3>
      <ul>${all.map((/** @type {any} */ one) => html`<li><button type="button" class=${`facet ${chosen === one.value ? 'chosen' : ''}`} title=${`Only ${field} ${one.value}; with Alt, all others`} onClick=${(/** @type {MouseEvent} */ event) => site.pick(field, one.value, event.altKey)}>
        <i class="bar" style=${{ width: `${(100 * one.count) / most}%` }}></i><span class="value">${['provider', 'model'].includes(field) && html`<i class=${`dot ${hueOf(one.value)}`}></i>`}${textOf(site, field, one.value)}</span><span class="count" title=${count(one.count)}>${compact(one.count)}</span></button></li>`)}</ul>
      ${values.length > SHOWN && html`<button type="button" class="quiet more" onClick=${() => setWide({ ...wide, [field]: !wide[field] })}>${wide[field] ? 'fewer' : `${values.length - SHOWN}${more ? '+' : ''} more`}</button>`}</section>`;
  })}</aside>`;
}
