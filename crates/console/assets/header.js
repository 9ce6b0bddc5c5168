// @ts-check
import { html, useEffect, useState } from './html.js';
import { getJson, logOut } from './api.js';
import { RANGES } from './view.js';

/** @type {Record<string, { label: string, about: string }>} */
const FEED = {
  live: { label: 'Live', about: 'New requests appear as they are stored. Click to pause (l).' },
  connecting: { label: 'Connecting', about: 'The feed is being connected.' },
  trouble: { label: 'Waiting', about: 'The store does not answer now; calls are kept and appear when it is back.' },
  off: { label: 'Paused', about: 'The list stands still. Click to go on (l).' },
};

const EVERY_MS = 15_000;

/** Facts of the gateway, shown only where somebody should know: calls that were dropped, a queue that grows. */
function Health() {
  const [facts, setFacts] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const ask = () => document.hidden || getJson('/api/health').then(setFacts).catch(() => setFacts(null));
    ask();
    const timer = setInterval(ask, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const dropped = Number(facts?.dropped ?? 0);
  const queued = Number(facts?.queue_depth ?? 0);
  if (dropped > 0) return html`<span class="health tone-bad" role="status" title="Calls whose record was lost">${dropped} dropped</span>`;
  if (queued > 100) return html`<span class="health tone-warn" role="status" title="Records that wait to be stored">${queued} queued</span>`;
  return null;
}

/** @param {any} props */
export function Header({ view, feed, live, utc, search, onRange, onLive, onUtc, onTheme, onHelp, onHome }) {
  const shown = FEED[live ? feed : 'off'];
  return html`<header class="top">
    <a class="brand" href="/" onClick=${(/** @type {MouseEvent} */ event) => !event.metaKey && !event.ctrlKey && (event.preventDefault(), onHome())}><svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true"><circle cx="16" cy="16" r="12.5" class="disc" /><path d="M16 3.5a12.5 12.5 0 0 1 11.6 7.8" class="arc" /><path d="M6 18.8l3.8-1 2.4 3.4 3.4-12.6 3.5 10.6 2.5-3.9 4.4 1" class="trace" /></svg>Tachograph</a>
    ${search}
    <div class="controls">
      <${Health} />
      <select aria-label="Time range" value=${view.range} onChange=${(/** @type {any} */ event) => onRange(event.target.value)}>${Object.entries(RANGES).map(([name, { label }]) => html`<option value=${name}>${label}</option>`)}</select>
      <button type="button" class=${`quiet feed feed-${live ? feed : 'off'}`} aria-pressed=${live} title=${shown.about} onClick=${onLive}><i></i>${shown.label}</button>
      <button type="button" class="quiet" title="Times in UTC or of your zone (u)" aria-label="Time zone" onClick=${onUtc}>${utc ? 'UTC' : 'Local'}</button>
      <button type="button" class="quiet icon" title="Dark or light (d)" aria-label="Dark or light" onClick=${onTheme}>◐</button>
      <button type="button" class="quiet icon" title="Keys (?)" aria-label="Help" onClick=${onHelp}>?</button>
      <button type="button" class="quiet logout" onClick=${logOut}>Log out</button>
    </div>
  </header>`;
}

/** @param {{ filters: Record<string, string>, onRemove: (field: string) => void, onClear: () => void, nameOf: (field: string, value: string) => string }} props */
export function Chips({ filters, onRemove, onClear, nameOf }) {
  const entries = Object.entries(filters);
  if (entries.length === 0) return null;
  return html`<div class="chips" role="group" aria-label="Filters">${entries.map(([field, value]) => html`<span class="chip"><span class="field">${field}</span> ${nameOf(field, value)}
    <button type="button" aria-label=${`Remove the filter ${field} ${value}`} onClick=${() => onRemove(field)}>✕</button></span>`)}
    <button type="button" class="quiet" onClick=${onClear}>Clear</button></div>`;
}
